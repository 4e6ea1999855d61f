"""What the patterns in the types' schemas share."""

from __future__ import annotations

# Python's `$` also matches before a final line break; this is the end in every dialect that knows lookahead.
END_OF_TEXT = r"(?![\s\S])"
