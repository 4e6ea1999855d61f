"""Listing and resolving alerts."""

from __future__ import annotations

from typing import Literal

from litestar import get, post
from litestar.params import FromQuery

from taskapi.http.parameters import Limit, User, actor, problem_responses
from taskapi.http.problems import ProblemError, not_found
from taskapi.kubernetes import schemas
from taskapi.kubernetes.parameters import AfterAlert, AlertId, AnyOf, BeforeAlert, decode_id, reject_both
from taskapi.runtime.services import AppServices, Services
from taskapi.schemas.problems import Problem, ProblemCode
from taskapi.tasks.presenters import first_rows, from_row
from taskcore.db.kubernetes import alert_queries, alerts
from taskcore.db.kubernetes.alert_queries import AlertFilter

_Status = Literal["open", "resolved", "all"]
_IS_OPEN = {"open": True, "resolved": False, "all": None}


@get("/alerts", summary="List alerts", responses=problem_responses())
async def list_alerts(
    services: AppServices,
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
    """Return alerts, the last opened first. With `after`, return those that have opened since, in that order."""
    reject_both(before, after)
    alert_filter = AlertFilter(
        is_open=_IS_OPEN[status],
        clusters=cluster or (),
        namespaces=namespace or (),
        kinds=kind or (),
        names=name or (),
        reasons=reason or (),
    )
    # Read before the alerts: one that opens in between has a greater id.
    ((newest,),) = await services.database.read(alert_queries.newest_alert_id())
    if after is not None:
        return await _since(services, alert_filter, limit, decode_id("after", after), newest)
    until_id = newest if before is None else decode_id("before", before) - 1
    rows = await services.database.read(alert_queries.list_alerts(alert_filter, limit=limit + 1, until_id=until_id))
    items, has_more = first_rows(schemas.Alert, rows, limit)
    return schemas.AlertPage(
        items,
        next_before=str(items[-1].id) if has_more else None,
        next_after=str(newest) if before is None else None,
        has_more=has_more,
    )


@post(
    "/alerts/{alert_id:int}/resolve", summary="Resolve an alert", status_code=200, responses=problem_responses(404, 409)
)
async def resolve_alert(services: AppServices, alert_id: AlertId, user: User = None) -> schemas.Alert:
    """Resolve an alert. The next event of the same object and reason opens another one."""
    rows = await services.database.write(alerts.resolve(), {"alert_id": alert_id, "by": actor(user)})
    if not rows:
        raise await _resolve_refusal(services, alert_id)
    return from_row(schemas.Alert, rows[0])


async def _since(
    services: Services, alert_filter: AlertFilter, limit: int, after: int, newest: int
) -> schemas.AlertPage:
    rows = await services.database.read(alert_queries.follow_alerts(alert_filter, limit=limit + 1, after_id=after))
    items, has_more = first_rows(schemas.Alert, rows, limit)
    last = items[-1].id if items else after
    reached = last if has_more else max(last, newest)
    return schemas.AlertPage(items, next_before=None, next_after=str(reached), has_more=has_more)


async def _resolve_refusal(services: Services, alert_id: int) -> ProblemError:
    rows = await services.database.read(alert_queries.get_alert(), {"alert_id": alert_id})
    if not rows:
        return not_found(ProblemCode.ALERT_NOT_FOUND, alert_id)
    detail = f"Alert {alert_id} was resolved by {rows[0].resolved_by}."
    return ProblemError(Problem("The alert is already resolved", 409, ProblemCode.ALERT_RESOLVED, detail=detail))
