"""Spans are for looking: what goes wrong with them harms nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.stdlib.get_logger(__name__)


@contextmanager
def suppress_errors() -> Iterator[None]:
    """Whatever its body raises is logged, and ends here: plugins may add processors of their own, which may raise."""
    try:
        yield
    except Exception:
        log.exception("spans.failed")
