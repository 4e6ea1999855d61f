"""The style sheet of the page: a waterfall without scripts, light or dark like the browser."""

from __future__ import annotations

import base64
import hashlib

COLOURS = 8
MAX_INDENT = 24

_RULES = """
:root { color-scheme: light dark; --ink: #1c2430; --faint: #67707e; --line: #dfe3e9; --paper: #fff; --hover: #f3f6fa;
  --bad: #c4262e; --wait: #b7bdc7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9f0; --faint: #98a2b3; --line: #313946; --paper: #161a21;
  --hover: #1f2530; --bad: #ff7a7a; --wait: #566071; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .2rem; }
h2 { font-size: 1.05rem; margin: 2rem 0 .2rem; }
p { margin: .2rem 0; max-width: 80ch; }
a { color: #2468d6; } @media (prefers-color-scheme: dark) { a { color: #7fb0ff; } }
code, dd, .time { font-family: ui-monospace, monospace; font-size: .92em; }
.faint, dt { color: var(--faint); }
.key { display: inline-block; margin-right: 1.2rem; }
.key svg { width: .8em; height: .8em; margin-right: .35em; }
.row, summary { display: grid; grid-template-columns: minmax(14rem, 2fr) 7.5rem minmax(10rem, 3fr); gap: .8rem;
  align-items: center; padding: .18rem .4rem; border-bottom: 1px solid var(--line); }
summary { cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary:hover, summary:focus-visible, details:target > summary { background: var(--hover); }
.name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.name::before { content: "\\25B8"; display: inline-block; width: 1em; color: var(--faint); }
details[open] > summary .name::before { content: "\\25BE"; }
.time { text-align: right; white-space: nowrap; }
.scale { display: flex; justify-content: space-between; }
.row { color: var(--faint); }
summary svg { display: block; width: 100%; height: 1rem; overflow: visible; }
.bad { color: var(--bad); font-weight: 600; }
rect.wait { fill: var(--wait); } rect.failed { stroke: var(--bad); stroke-width: 2; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .5rem 0 .9rem 2.2rem; }
dd { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
"""
_PALETTE = ("#3b78e7", "#12a17c", "#e08a1e", "#9a5bd6", "#d6529a", "#2fa4c7", "#8a8f2a", "#b0613c")

STYLE = (
    _RULES
    + "".join(f".c{number} {{ fill: {colour}; }}\n" for number, colour in enumerate(_PALETTE))
    + "".join(f".d{depth} {{ padding-left: {depth * 1.1:.1f}rem; }}\n" for depth in range(MAX_INDENT + 1))
)
#: Forbids to load, run or send anything. The only style sheet allowed is the one with this hash.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
