"""What is in an image's layers, as the engine would send it to somebody else."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from typing import IO, cast

#: Named to every build as part of an index's address. Where it is found, a password would be, too.
MARKER = "password-of-the-index"


def iter_files(chunks: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    """Each file of an image, its layers among them, by name."""
    with tarfile.open(fileobj=cast("IO[bytes]", _Stream(chunks)), mode="r|") as saved:
        for member in saved:
            file = saved.extractfile(member) if member.isfile() else None
            if file is not None:
                content = file.read()
                yield member.name, gzip.decompress(content) if _is_zipped(content) else content


def _is_zipped(content: bytes) -> bool:
    return content.startswith(b"\x1f\x8b")


class _Stream:
    """Chunks, as a file that is read from its beginning to its end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts = [self._rest]
        missing = size - len(self._rest)
        while missing > 0 and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            missing -= len(chunk)
        content = b"".join(parts)
        self._rest = content[size:]
        return content[:size]
