"""View of a task's traces: a tree of spans with times for each."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from taskclient.cli.output.formatting import escape_control, first_line
from taskclient.traces.models import TaskTrace, Trace, TraceSpan

WAIT_PREFIX = "wait "


def trace_view(task_trace: TaskTrace) -> RenderableType:
    """Show the traces, separated by empty lines."""
    parts: list[RenderableType] = []
    for trace in task_trace.traces:
        parts += [Text(), *_trace(trace)] if parts else _trace(trace)
    return Group(*parts)


def format_duration(seconds: float) -> str:
    """Format in the unit that fits: 850 µs, 12.3 ms, 4.56 s, 12m05s, 3h20m."""
    size, sign = abs(seconds), "-" if seconds < 0 else ""
    if size < 0.001:
        return f"{sign}{size * 1_000_000:.0f} µs"
    if size < 1:
        return f"{sign}{size * 1_000:.1f} ms"
    if size < 60:
        return f"{sign}{size:.2f} s"
    minutes, rest = divmod(round(size), 60)
    return sign + (f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m")


def heading(trace: Trace) -> str:
    """Return the trace's attempts, the attempts that it links to, and its id."""
    linked = sorted({link.attempt for span in trace.spans for link in span.links if link.attempt is not None})
    attempts = "attempt " + ", ".join(map(str, trace.attempts))
    return attempts + "".join(f", linked to attempt {number}" for number in linked) + f"; trace {trace.trace_id}"


def _trace(trace: Trace) -> list[RenderableType]:
    lines: list[RenderableType] = [Text(escape_control(heading(trace)), style="bold")]
    if trace.url is not None:
        lines.append(Text(escape_control(trace.url)))
    lines.append(_tree(trace.spans) if trace.spans else Text("its spans are not yet or no longer available"))
    if trace.spans_omitted:
        lines.append(Text(f"{trace.spans_omitted} more spans of the same trace are not shown"))
    return lines


def _tree(spans: list[TraceSpan]) -> RenderableType:
    rows = Table.grid(padding=(0, 2))
    for _ in range(2):
        rows.add_column(justify="right", no_wrap=True)
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for span in spans:
        offset = (span.start - spans[0].start) / timedelta(seconds=1)
        sign = "" if offset < 0 else "+"
        rows.add_row(
            f"{sign}{format_duration(offset)}",
            format_duration(span.duration_s),
            Text(escape_control(span.service)),
            _name(span),
        )
    return rows


def _name(span: TraceSpan) -> Text:
    style = "yellow" if span.name.startswith(WAIT_PREFIX) else ""
    text = Text("  " * span.depth).append(escape_control(first_line(span.name) or "-"), style)
    if span.status == "error":
        text.append(escape_control(f"  ERROR {first_line(span.status_message) or ''}".rstrip()), "red")
    return text
