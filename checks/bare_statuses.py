"""Finds statuses, outcomes and markers written as bare strings where a member of their StrEnum belongs.

Looked at are comparisons, `match` patterns, and arguments of calls, in the source of the server packages.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from checks.sources import Texts, python_files
from taskcore.domain.dependencies import DependentsState
from taskcore.domain.outcomes import AttemptOutcome
from taskcore.domain.states import Status

VALUES = frozenset(str(member) for enum in (Status, AttemptOutcome, DependentsState) for member in enum)

#: Calls whose argument is a label, a name or a sentence.
TEXT_CALLS = {"cte", "label", "Transition", "alias"}
SOURCE = re.compile(r"^(libs/taskcore|services)/")


def problems(texts: Texts) -> Iterator[str]:
    """Yield a line for each bare string."""
    for path, text in python_files(texts).items():
        if SOURCE.match(path):
            for constant in _suspects(ast.parse(text)):
                if isinstance(constant, ast.Constant) and constant.value in VALUES:
                    yield f"{path}:{constant.lineno}: {constant.value!r} as a bare string; use its StrEnum"


def _suspects(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                yield from _each([node.left, *node.comparators])
            case ast.MatchValue():
                yield node.value
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name not in TEXT_CALLS:
                yield from _each([*node.args, *(keyword.value for keyword in node.keywords)])


def _each(expressions: list[ast.expr]) -> Iterator[ast.expr]:
    """Yield the expressions, and the elements of those that are tuples, lists or sets."""
    for expression in expressions:
        yield from expression.elts if isinstance(expression, ast.Tuple | ast.List | ast.Set) else [expression]
