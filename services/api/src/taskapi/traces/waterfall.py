"""Render a trace as a waterfall in HTML: for each span a line with a bar on the time axis. All text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import msgspec

from taskapi.traces.schemas import SpanLink, Trace, TraceSpan
from taskapi.traces.style import COLOURS, MAX_INDENT

TICKS = 5
#: Per cent of the width, so that the bar of a short span is visible.
MIN_BAR_WIDTH = 0.3


def render_waterfall(trace: Trace) -> str:
    """Return the HTML of the legend, the time axis and the spans."""
    colours = {service: n % COLOURS for n, service in enumerate(dict.fromkeys(s.service for s in trace.spans))}
    begin = min(span.start.timestamp() for span in trace.spans)
    length = max(max(span.end.timestamp() for span in trace.spans) - begin, 1e-6)
    lines = [_line(span, begin, length, colours[span.service]) for span in trace.spans]
    return "\n".join([_legend(colours), _scale(length), *lines])


def format_duration(seconds: float) -> str:
    """Return a readable duration: 850 µs, 12.3 ms, 4.56 s, 12 min 5 s, 3 h 20 min."""
    size = abs(seconds)
    if size < 0.001:
        return f"{seconds * 1_000_000:.0f} µs"
    if size < 1:
        return f"{seconds * 1_000:.1f} ms"
    if size < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(size), 60)
    text = f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    return f"-{text}" if seconds < 0 else text


def _legend(colours: Mapping[str, int]) -> str:
    keys = (
        f'<span class="key"><svg aria-hidden="true"><rect class="c{colour}" width="100%" height="100%"/></svg>'
        f"{escape(service or 'unknown service')}</span>"
        for service, colour in colours.items()
    )
    return f'<p class="faint">{"".join(keys)}</p>'


def _scale(length: float) -> str:
    ticks = "".join(f"<span>{format_duration(length * n / (TICKS - 1)) if n else '0'}</span>" for n in range(TICKS))
    return f'<div class="row"><span>span</span><span class="time">took</span><span class="scale">{ticks}</span></div>'


def _line(span: TraceSpan, begin: float, length: float, colour: int) -> str:
    error = '<strong class="bad">error</strong> ' if span.status == "error" else ""
    return (
        f'<details id="{escape(span.span_id)}"><summary title="{escape(span.name)}">'
        f'<span class="name d{min(span.depth, MAX_INDENT)}">{error}{escape(span.name)}</span>'
        f'<span class="time">{format_duration(span.duration_s)}</span>{_bar(span, begin, length, colour)}</summary>'
        f"<dl>{_details(span, begin)}</dl></details>"
    )


def _bar(span: TraceSpan, begin: float, length: float, colour: int) -> str:
    left = min((span.start.timestamp() - begin) / length * 100, 100 - MIN_BAR_WIDTH)
    width = max(min(span.duration_s / length * 100, 100 - left), MIN_BAR_WIDTH)
    kind = "wait" if span.name.startswith("wait ") else f"c{colour}"
    failed = " failed" if span.status == "error" else ""
    position = f'x="{left:.3f}%" width="{width:.3f}%" y="15%" height="70%" rx="2"'
    return f'<svg aria-hidden="true"><rect class="{kind}{failed}" {position}/></svg>'


def _details(span: TraceSpan, begin: float) -> str:
    facts: list[tuple[str, str]] = []
    if span.status == "error":
        facts.append(("error", f'<span class="bad">{escape(span.status_message or "no reason given")}</span>'))
    facts += [
        ("service", escape(span.service)),
        ("kind", escape(span.kind)),
        ("started", f"{escape(span.start.isoformat())}, {format_duration(span.start.timestamp() - begin)} in"),
        ("span", escape(span.span_id)),
    ]
    facts += [("linked to", render_link(link)) for link in span.links]
    facts += [(name, escape(_text(value))) for name, value in span.attributes.items()]
    facts += [
        (
            f"event, {format_duration(event.at.timestamp() - begin)} in",
            escape(f"{event.name} {_text(event.attributes)}"),
        )
        for event in span.events
    ]
    return "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in facts)


def render_link(link: SpanLink) -> str:
    """Return a link to the span, which is on the same page if it is shown."""
    what = "the submission" if link.attempt is None else f"attempt {link.attempt}"
    return f'<a href="#{escape(link.span_id)}">{what}</a> <span class="faint">{escape(link.trace_id)}</span>'


def linked_attempts(spans: Sequence[TraceSpan]) -> list[int]:
    return sorted({link.attempt for span in spans for link in span.links if link.attempt is not None})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
