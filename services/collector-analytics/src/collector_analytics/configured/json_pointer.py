"""JSON pointers (RFC 6901)."""

from __future__ import annotations

import re
from typing import Any

ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")


def resolve_pointer(document: Any, pointer: str) -> Any:
    """Return the value that `pointer` refers to.

    Raises:
        LookupError: the document has no such value.
    """
    found = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and ARRAY_INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            raise LookupError(f"the document has no value at {pointer!r}")
    return found
