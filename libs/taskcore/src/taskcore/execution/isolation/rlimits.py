"""How much memory a process may have."""

from __future__ import annotations

import resource


def set_memory_limit(size: int) -> None:
    """Bound the address space of this process, and of what it starts, to `size` bytes, or to less where less is set."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    bound = size if most == resource.RLIM_INFINITY else min(size, most)
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
