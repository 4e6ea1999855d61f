"""JSON pointers."""

from __future__ import annotations

import pytest

from collector_analytics.configured.counters import resolve_pointer


def test_pointers_are_resolved_as_in_rfc_6901() -> None:
    document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, " ": 7, "k": {"01": 5}}

    pointers = ("", "/foo/0", "/", "/a~1b", "/m~0n", "/ ", "/k/01")
    found = [resolve_pointer(document, pointer) for pointer in pointers]

    assert found == [document, "bar", 0, 1, 8, 7, 5]
    for missing in ("/foo/2", "/foo/-", "/foo/00", "/foo/bar", "/b", "/a~1b/c"):
        with pytest.raises(LookupError):
            resolve_pointer(document, missing)
