"""The body of an HTTP response: read up to a size limit, decompressed and decoded as text."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterable, Iterator

import httpx

#: The codecs of Python that are character sets. Others are slow, refuse to replace what is invalid, or return bytes.
CHARACTER_SETS = re.compile(
    r"ascii|utf-(8|8-sig|16|32|16-[bl]e|32-[bl]e)|iso8859-\d+|(cp|ptcp|kz)\d+|koi8-[rtu]|mac-\w+|tis-620|hp-roman8"
    r"|big5(hkscs)?|gb2312|gbk|gb18030|hz|euc_\w+|iso2022_\w+|shift_jis\w*|johab"
)
GZIP_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
GZIP_OR_ZLIB = zlib.MAX_WBITS + 32  # zlib tells the two formats apart


def read_body(response: httpx.Response, max_bytes: int) -> tuple[str, bool]:
    """Return up to `max_bytes` of the body as text, and whether there was more.

    The text is decoded by the charset of its type, or as UTF-8, with replacement characters for invalid bytes.
    """
    body = bytearray()
    for chunk in _decompressed(response, max_bytes):
        body += chunk
        if len(body) > max_bytes:
            break
    return bytes(body[:max_bytes]).decode(find_codec(response.charset_encoding), "replace"), len(body) > max_bytes


def find_codec(charset: str | None) -> str:
    """Return Python's name of a character set, or `utf-8` if it knows none of this name."""
    try:
        name = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return name if CHARACTER_SETS.fullmatch(name) else "utf-8"


def _decompressed(response: httpx.Response, max_bytes: int) -> Iterator[bytes]:
    """Yield the body, decompressed if it is gzip or zlib. No chunk is much longer than `max_bytes`."""
    chunks = response.iter_raw()
    if response.headers.get("Content-Encoding", "").strip().lower() in GZIP_ENCODINGS:
        return _inflated(chunks, max_bytes + 1)
    return chunks


def _inflated(chunks: Iterable[bytes], max_chunk: int) -> Iterator[bytes]:
    """Yield the decompressed content. What is not compressed, in spite of its header, is yielded unchanged.

    What follows the compressed content, such as padding, is left out.
    """
    inflater = zlib.decompressobj(GZIP_OR_ZLIB)
    is_compressed, has_member = True, False
    for chunk in chunks:
        rest = chunk
        while rest and is_compressed:
            try:
                yield inflater.decompress(rest, max_chunk)
            except zlib.error:
                if has_member:
                    return
                is_compressed = False
                break
            rest = inflater.unconsumed_tail or inflater.unused_data
            if inflater.eof:  # a gzip body may have several members
                inflater, has_member = zlib.decompressobj(GZIP_OR_ZLIB), True
        if rest:
            yield rest
