"""Wraps a query so that PostgreSQL itself leaves out the values of a row that is too large to be kept.

A driver has all of a row in memory before anybody can look at its size, and a value may have a gigabyte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Semicolons at the end, with the comments after them. In a wrapped query they would be in the middle.
END_OF_STATEMENT = re.compile(r"(;(\s|--[^\n]*(\n|\Z)|/\*.*?\*/)*)+\Z", re.DOTALL)


def bounded_forms(query: str, columns: int, max_chars: int) -> Iterator[str]:
    """Yield statements that return the rows of `query`, each with its size before it. PostgreSQL may accept one.

    The size is that of a row's values as text. The values of a row of more than `max_chars` are all NULL. Statements
    that cannot be a part of another one (EXPLAIN, SHOW, CALL, WITH … DELETE) have no such form.
    """
    names = [f"c{i}" for i in range(columns)]
    alias = f"q({', '.join(names)})" if names else "q"
    size = " + ".join(f"coalesce(length(q.{name}::text)::int8, 0)" for name in names) or "0"
    values = "".join(f", CASE WHEN s.size <= {max_chars} THEN q.{name} END" for name in names)
    # OFFSET 0 has PostgreSQL compute each value, and the size, once for each row.
    bound = f"CROSS JOIN LATERAL (SELECT {size} AS size OFFSET 0) AS s"
    for text in dict.fromkeys((query, END_OF_STATEMENT.sub("", query))):
        yield f"SELECT s.size{values} FROM (SELECT * FROM (\n{text}\n) AS i OFFSET 0) AS {alias} {bound}"
        yield f"WITH {alias} AS (\n{text}\n) SELECT s.size{values} FROM q {bound}"
