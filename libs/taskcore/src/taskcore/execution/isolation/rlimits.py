"""Resource limits of this process."""

from __future__ import annotations

import resource


def set_data_limit(size: int) -> None:
    """Limit the private memory of this process, and of each of its children, to `size` bytes.

    Unlike the address space, it does not include what is reserved or mapped from files and not used.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def set_memory_limit(size: int) -> None:
    """Limit the address space of this process and its children to `size` bytes, or less if the hard limit is less.

    A limit of `set_data_limit` no longer applies.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
