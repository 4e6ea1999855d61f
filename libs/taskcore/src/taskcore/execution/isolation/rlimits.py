"""Resource limits of this process."""

from __future__ import annotations

import resource


def set_memory_limit(size: int) -> None:
    """Limit the address space of this process and its children to `size` bytes, or less if the hard limit is less."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
