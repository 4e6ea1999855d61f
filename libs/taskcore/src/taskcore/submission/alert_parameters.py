"""The parameters of an alert's task: its templates filled with an event, and made to fit what the type takes.

Anybody who may create events decides what is in them. So text that a type refuses is cleaned, step by step, and cut.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from taskcore.domain import templates
from taskcore.submission.schemas import FindErrors

#: One alternative is enough, so whatever satisfies one of them is enough.
ALTERNATIVES = frozenset({"anyOf", "oneOf"})
FREE_TEXT = "message"
#: Names that real objects always have. A namespace they may lack.
REQUIRED_NAMES = frozenset({"kind", "object", "reason"})
UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")

Words = Mapping[str, str]


def fill(parameters: dict[str, Any], words: Words, find_errors: FindErrors) -> dict[str, Any]:
    """Return the parameters with `words` in their templates.

    A text with variables in which the schema finds an error is filled with cleaner words, up to names of letters,
    digits and hyphens and a message of one line in ASCII, and cut to its maximum length. What still has errors then
    has them for any words.
    """
    fitting = _Fitting([words, *(_cleaned(words, *way) for way in WAYS)])
    while True:
        filled: dict[str, Any] = templates.map_texts(parameters, fitting.render)
        errors = defaultdict[templates.Path, list[Any]](list)
        for error in find_errors(filled):
            for leaf in _leaves(error):
                errors[tuple(leaf.instance_path)].append(leaf.kind)
        templated = {path: kinds for path, kinds in errors.items() if _has_variables(parameters, path)}
        # Every text is adapted in each round.
        if not sum(fitting.adapt(path, kinds) for path, kinds in templated.items()):
            return filled


@dataclass(slots=True)
class _Fitting:
    """How each text is filled: with which of the `words`, and up to which length."""

    words: Sequence[Words]
    steps: dict[templates.Path, int] = field(default_factory=dict)
    limits: dict[templates.Path, int] = field(default_factory=dict)

    def render(self, path: templates.Path, text: str) -> str:
        rendered: str = templates.render(text, self.words[self.steps.get(path, 0)])
        return _cut(rendered, self.limits.get(path, len(rendered)), "…" if self.steps.get(path, 0) < 2 else "")

    def adapt(self, path: templates.Path, kinds: Sequence[Any]) -> bool:
        """Fill a text with errors of these kinds in another way from now on. Return False if there is no other."""
        limit = max((kind.limit for kind in kinds if kind.name == "maxLength"), default=None)
        if limit is not None and limit < self.limits.get(path, math.inf):
            self.limits[path] = limit
            return True
        if self.steps.get(path, 0) + 1 == len(self.words):
            return False
        self.steps[path] = self.steps.get(path, 0) + 1
        return True


def _one_line(text: str) -> str:
    return UNPRINTABLE.sub(" ", text).strip()


def _ascii_line(text: str) -> str:
    return _one_line(text).encode("ascii", "replace").decode()


def _plain_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


#: How messages and names are cleaned, one way after the other.
WAYS: tuple[tuple[Callable[[str], str], Callable[[str], str]], ...] = (
    (_one_line, _one_line),
    (_ascii_line, _plain_name),
)


def _cleaned(words: Words, clean_text: Callable[[str], str], clean_name: Callable[[str], str]) -> Words:
    cleaned = {name: (clean_text if name == FREE_TEXT else clean_name)(word) for name, word in words.items()}
    return {name: word or ("-" if name in REQUIRED_NAMES else "") for name, word in cleaned.items()}


def _leaves(error: jsonschema_rs.ValidationError) -> Iterator[jsonschema_rs.ValidationError]:
    kind: Any = error.kind
    if kind.name not in ALTERNATIVES:
        yield error
        return
    for branch in kind.context:
        for one in branch:
            yield from _leaves(one)


def _has_variables(parameters: dict[str, Any], path: templates.Path) -> bool:
    """Return whether there is a text with variables at this path."""
    value: Any = parameters
    for part in path:
        value = value[part]
    return isinstance(value, str) and templates.has_variables(value)


def _cut(text: str, limit: int, mark: str) -> str:
    return text if len(text) <= limit else (text[: max(0, limit - len(mark))] + mark)[:limit]
