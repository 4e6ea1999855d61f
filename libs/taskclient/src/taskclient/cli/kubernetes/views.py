"""Views of Kubernetes events and alerts: a page as a table, or one line per record of a stream."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from taskclient.cli.output.formatting import first_line, format_cell
from taskclient.cli.output.stream import StreamPrinter
from taskclient.cli.output.views import Columns, fields, list_view
from taskclient.kubernetes.models import Alert, AlertPage, EventGap, EventPage, KubernetesEvent

EVENT_COLUMNS: Columns[KubernetesEvent] = {
    **fields("id", "at", "type", "reason"),
    "object": lambda event: object_path(event),
    "count": lambda event: event.count,
    "message": lambda event: first_line(event.message),
}
VERSION_COLUMNS: Columns[KubernetesEvent] = {"version": lambda event: event.resource_version, **EVENT_COLUMNS}
ALERT_COLUMNS: Columns[Alert] = {
    **fields("id", "rule", "reason"),
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


def gap_line(gap: EventGap) -> str:
    where = " ".join(part for part in (gap.cluster, gap.namespace) if part)
    period = f"from {format_cell(gap.from_at)} until {format_cell(gap.until_at)}"
    if gap.count is None:
        return f"gap: events of {where} may be lost {period}"
    return f"gap: {gap.count} events {gap.reason or ''} of {where} were only counted {period}"


def object_path(record: KubernetesEvent | Alert) -> str:
    """Return `cluster/namespace/kind/name` without the empty parts."""
    return "/".join(part for part in (record.cluster, record.namespace, record.kind, record.name) if part)


def _next_page(next_before: str | None) -> list[RenderableType]:
    return [] if next_before is None else [Text(f"more: --before {next_before}")]


def _to_line(record: KubernetesEvent | EventGap | Alert) -> str:
    if isinstance(record, EventGap):
        return gap_line(record)
    message = first_line(record.message) or "-"
    if isinstance(record, KubernetesEvent):
        count = f" (x{record.count})" if record.count > 1 else ""
        start = f"{format_cell(record.at)}  {record.type:<8} {record.reason:<18}"
        return f"{start} {object_path(record)}{count}: {message}"
    task = "" if record.task_id is None else f" [task {record.task_id}]"
    resolved = "" if record.resolved_at is None else f" [resolved by {record.resolved_by}]"
    start = f"{format_cell(record.last_at)}  {record.id} {record.reason}"
    return f"{start} {object_path(record)} (x{record.count}): {message}{task}{resolved}"


PRINTER = StreamPrinter[KubernetesEvent | EventGap | Alert](
    {KubernetesEvent: "event", EventGap: "gap", Alert: "alert"}, _to_line
)
