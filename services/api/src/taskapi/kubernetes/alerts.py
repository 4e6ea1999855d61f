"""Alerts: those that are open, those that were, and resolving one."""

from __future__ import annotations

from typing import Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from taskapi.http.parameters import User, actor, problem_responses
from taskapi.http.problems import ProblemError
from taskapi.kubernetes import schemas
from taskapi.kubernetes.parameters import AfterAlert, AlertId, AnyOf, BeforeAlert, Limit, decode_id, reject_both
from taskapi.runtime.services import Services
from taskapi.schemas import Problem
from taskapi.tasks import presenters
from taskcore.db.kubernetes import alert_queries, alerts
from taskcore.db.kubernetes.alert_queries import AlertFilter

_Status = Literal["open", "resolved", "all"]
_IS_OPEN = {"open": True, "resolved": False, "all": None}


@get("/alerts", operation_id="list_alerts", summary="List alerts", tags=["kubernetes"], responses=problem_responses())
async def list_alerts(
    services: NamedDependency[Services],
    status: FromQuery[_Status] = "open",
    cluster: AnyOf = None,
    namespace: AnyOf = None,
    kind: AnyOf = None,
    name: AnyOf = None,
    reason: AnyOf = None,
    limit: Limit = 100,
    before: BeforeAlert = None,
    after: AfterAlert = None,
) -> schemas.AlertPage:
    """Those that opened last come first. With `after`: those that opened since, in that order."""
    reject_both(before, after)
    which = AlertFilter(
        is_open=_IS_OPEN[status],
        clusters=cluster or (),
        namespaces=namespace or (),
        kinds=kind or (),
        names=name or (),
        reasons=reason or (),
    )
    ((newest,),) = await services.database.read(
        alert_queries.newest_alert_id()
    )  # first: what opens from here on comes later
    if after is not None:
        return await _since(services, which, limit, decode_id("after", after), newest)
    until_id = newest if before is None else decode_id("before", before) - 1
    rows = await services.database.read(alert_queries.list_alerts(which, limit=limit + 1, until_id=until_id))
    items = [presenters.from_row(schemas.Alert, row._mapping) for row in rows[:limit]]
    has_more = len(rows) > limit
    return schemas.AlertPage(
        items,
        next_before=str(items[-1].id) if has_more else None,
        next_after=str(newest) if before is None else None,
        has_more=has_more,
    )


@post(
    "/alerts/{alert_id:int}/resolve",
    operation_id="resolve_alert",
    summary="Resolve an alert",
    tags=["kubernetes"],
    status_code=200,
    responses=problem_responses(404, 409),
)
async def resolve_alert(services: NamedDependency[Services], alert_id: AlertId, user: User = None) -> schemas.Alert:
    """It is dealt with. The next event of its object and reason opens another one."""
    rows = await services.database.write(alerts.resolve(), {"alert_id": alert_id, "by": actor(user)})
    if not rows:
        raise await _resolve_refusal(services, alert_id)
    alert: schemas.Alert = presenters.from_row(schemas.Alert, rows[0]._mapping)
    return alert


async def _since(services: Services, which: AlertFilter, limit: int, after: int, newest: int) -> schemas.AlertPage:
    rows = await services.database.read(alert_queries.follow_alerts(which, limit=limit + 1, after_id=after))
    items = [presenters.from_row(schemas.Alert, row._mapping) for row in rows[:limit]]
    has_more = len(rows) > limit
    last = items[-1].id if items else after
    reached = last if has_more else max(last, newest)
    return schemas.AlertPage(items, next_before=None, next_after=str(reached), has_more=has_more)


async def _resolve_refusal(services: Services, alert_id: int) -> ProblemError:
    rows = await services.database.read(alert_queries.get_alert(), {"alert_id": alert_id})
    if not rows:
        return ProblemError(Problem("No such alert", 404, "alert_not_found", detail=f"There is no alert {alert_id}."))
    detail = f"Alert {alert_id} was resolved by {rows[0].resolved_by}."
    return ProblemError(Problem("The alert is resolved already", 409, "alert_resolved", detail=detail))
