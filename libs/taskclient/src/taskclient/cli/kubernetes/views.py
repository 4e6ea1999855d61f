"""Views of Kubernetes events and alerts: a page as a table, or one line per record of a stream."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from taskclient.cli.output.formatting import first_line, format_cell
from taskclient.cli.output.stream import StreamPrinter
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
    """Show the events, then the gaps, then the cursor of the next page."""
    gaps = [format_cell(gap_line(gap)) for gap in page.gaps]
    return Group(list_view(page.items, EVENT_COLUMNS), *gaps, *_next_page(page.next_before))


def alerts_view(page: AlertPage) -> RenderableType:
    return Group(list_view(page.items, ALERT_COLUMNS), *_next_page(page.next_before))


def event_line(event: KubernetesEvent) -> str:
    count = f" (x{event.count})" if event.count > 1 else ""
    message = first_line(event.message) or "-"
    return f"{format_cell(event.at)}  {event.type:<8} {event.reason:<18} {object_path(event)}{count}: {message}"


def gap_line(gap: EventGap) -> str:
    where = " ".join(part for part in (gap.cluster, gap.namespace) if part)
    period = f"from {format_cell(gap.from_at)} until {format_cell(gap.until_at)}"
    if gap.count is None:
        return f"gap: events of {where} may be lost {period}"
    return f"gap: {gap.count} events {gap.reason or ''} of {where} were only counted {period}"


def alert_line(alert: Alert) -> str:
    line = f"{format_cell(alert.last_at)}  {alert.id} {alert.reason} {object_path(alert)} (x{alert.count})"
    line += f": {first_line(alert.message) or '-'}"
    if alert.task_id is not None:
        line += f" [task {alert.task_id}]"
    return line if alert.resolved_at is None else f"{line} [resolved by {alert.resolved_by}]"


def object_path(record: KubernetesEvent | Alert) -> str:
    """Return `cluster/namespace/kind/name` without the empty parts."""
    return "/".join(part for part in (record.cluster, record.namespace, record.kind, record.name) if part)


def _next_page(next_before: str | None) -> list[RenderableType]:
    return [] if next_before is None else [Text(f"more: --before {next_before}")]


def _to_line(record: KubernetesEvent | EventGap | Alert) -> str:
    match record:
        case KubernetesEvent():
            return event_line(record)
        case EventGap():
            return gap_line(record)
        case Alert():
            return alert_line(record)


PRINTER = StreamPrinter[KubernetesEvent | EventGap | Alert](
    {KubernetesEvent: "event", EventGap: "gap", Alert: "alert"}, _to_line
)
