"""What a person gets to see of events and alerts: a table of a page, or a line each where they are followed."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from taskclient.cli.output.formatting import first_line, format_cell
from taskclient.cli.output.views import Columns, list_view
from taskclient.kubernetes.models import Alert, AlertPage, EventGap, EventPage, KubernetesEvent

EVENT_COLUMNS: Columns[KubernetesEvent] = {
    "id": lambda event: event.id,
    "at": lambda event: event.at,
    "type": lambda event: event.type,
    "reason": lambda event: event.reason,
    "object": lambda event: object_path(event),
    "count": lambda event: event.count,
    "message": lambda event: first_line(event.message),
}
VERSION_COLUMNS: Columns[KubernetesEvent] = {"version": lambda event: event.resource_version, **EVENT_COLUMNS}
ALERT_COLUMNS: Columns[Alert] = {
    "id": lambda alert: alert.id,
    "rule": lambda alert: alert.rule,
    "reason": lambda alert: alert.reason,
    "object": lambda alert: object_path(alert),
    "count": lambda alert: alert.count,
    "first": lambda alert: alert.first_at,
    "last": lambda alert: alert.last_at,
    "resolved": lambda alert: alert.resolved_at,
    "by": lambda alert: alert.resolved_by,
    "task": lambda alert: alert.task_id,
    "message": lambda alert: first_line(alert.message),
}


def events_view(page: EventPage) -> RenderableType:
    """The table, then the gaps, then how to go on."""
    parts = [list_view(EVENT_COLUMNS)(page.items), *(format_cell(gap_line(gap)) for gap in page.gaps)]
    return Group(*parts, *_more(page.next_before))


def alerts_view(page: AlertPage) -> RenderableType:
    return Group(list_view(ALERT_COLUMNS)(page.items), *_more(page.next_before))


def event_line(event: KubernetesEvent) -> str:
    times = f" (x{event.count})" if event.count > 1 else ""
    said = first_line(event.message) or "-"
    return f"{format_cell(event.at)}  {event.type:<8} {event.reason:<18} {object_path(event)}{times}: {said}"


def gap_line(gap: EventGap) -> str:
    where = " ".join(part for part in (gap.cluster, gap.namespace) if part)
    span = f"from {format_cell(gap.from_at)} until {format_cell(gap.until_at)}"
    if gap.count is None:
        return f"gap: events of {where} may be lost {span}"
    return f"gap: {gap.count} events {gap.reason or ''} of {where} were only counted {span}"


def alert_line(alert: Alert) -> str:
    task = f" [task {alert.task_id}]" if alert.task_id is not None else ""
    over = f" [resolved by {alert.resolved_by}]" if alert.resolved_at is not None else ""
    said = first_line(alert.message) or "-"
    return f"{format_cell(alert.last_at)}  {alert.id} {alert.reason} {object_path(alert)} (x{alert.count}): {said}{task}{over}"


def object_path(one: KubernetesEvent | Alert) -> str:
    """`cluster/namespace/kind/name`, without what is not there."""
    return "/".join(part for part in (one.cluster, one.namespace, one.kind, one.name) if part)


def _more(next_before: str | None) -> list[RenderableType]:
    return [] if next_before is None else [Text(f"more: --before {next_before}")]
