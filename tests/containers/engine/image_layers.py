"""The contents of an image's layers, as exported by the engine."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Iterator
from typing import IO, cast

#: Part of the index URL of every build. A file that contains it would leak a password in the URL, too.
MARKER = "password-of-the-index"


def iter_files(chunks: Iterator[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file of an exported image, including its layers."""
    with tarfile.open(fileobj=cast("IO[bytes]", _Stream(chunks)), mode="r|") as saved:
        for member in saved:
            file = saved.extractfile(member) if member.isfile() else None
            if file is not None:
                content = file.read()
                yield member.name, gzip.decompress(content) if _is_zipped(content) else content


def _is_zipped(content: bytes) -> bool:
    return content.startswith(b"\x1f\x8b")


class _Stream:
    """A sequential file over chunks of bytes."""

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
