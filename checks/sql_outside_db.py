"""Finds SQL outside `taskcore.db`: statements belong there, so that a change of a table has one place.

Found are imports of SQLAlchemy's statement constructs, and texts that read or write one of Taskcore's tables.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from checks.sources import Texts, python_files
from taskcore.db.models import Model

CONSTRUCTS = {
    "bindparam",
    "case",
    "cast",
    "column",
    "delete",
    "exists",
    "func",
    "insert",
    "lateral",
    "literal",
    "literal_column",
    "select",
    "table",
    "text",
    "union",
    "union_all",
    "update",
    "values",
}

#: Files that may have SQL, with the reason.
EXCEPTIONS = {
    "services/api/src/taskapi/runtime/database.py": "the readiness probe's statement",
}

SOURCE = re.compile(r"^(libs|services)/[^/]+/src/")
DB = "libs/taskcore/src/taskcore/db/"
_TABLES = "|".join(sorted(Model.metadata.tables))
_USES_TABLE = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:{_TABLES})\b")


def problems(texts: Texts) -> Iterator[str]:
    """Yield a line for each construct or text outside `taskcore.db`."""
    for path, text in python_files(texts).items():
        if SOURCE.match(path) and not path.startswith(DB) and path not in EXCEPTIONS:
            for line, what in sorted(set(_sql(ast.parse(text)))):
                yield f"{path}:{line}: {what} outside taskcore.db"


def _sql(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sqlalchemy":
            yield from ((node.lineno, f"SQL construct {one.name}") for one in node.names if one.name in CONSTRUCTS)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _USES_TABLE.search(node.value):
            yield node.lineno, "SQL on a table of Taskcore"
