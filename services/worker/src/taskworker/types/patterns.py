"""Regular expressions that several task types use in their schemas."""

from __future__ import annotations

# Python's `$` also matches before a final line break. This matches the end in every dialect with lookahead.
END_OF_TEXT = r"(?![\s\S])"
