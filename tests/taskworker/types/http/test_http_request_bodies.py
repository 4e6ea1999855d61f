"""Bodies of responses: character sets, compression, and the most that a result can hold."""

from __future__ import annotations

import encodings
import gzip
import json
import pkgutil
import zlib
from typing import Any

import pytest

from taskcore.domain.tasks import MAX_TASK_BYTES
from taskworker.types.http.body import find_codec
from taskworker.types.http.http_request import HttpRequest
from tests.taskworker.types.environments import loopback_environment
from tests.taskworker.types.http_server import HttpServer, Reply

PYTHON_CODECS = sorted(module.name for module in pkgutil.iter_modules(encodings.__path__))
TEXT = "grün, 世界\n" * 20
GZIPPED = gzip.compress(TEXT.encode())


def fetch(site: HttpServer, body: bytes, **headers: str) -> Any:
    """Return the result for this body. The environment refuses a result that could not be stored."""
    site.replies["/"] = Reply(200, headers, body)
    return loopback_environment().run(HttpRequest, url=f"{site.url}/")


def test_every_charset_name_gives_text() -> None:
    for charset in [*PYTHON_CODECS, None, "no-such", "", "ü", "x" * 300, "../../etc", '"utf-8"', "a\0b"]:
        assert isinstance(b"plain \xff+2AA- text".decode(find_codec(charset), "replace"), str), charset


@pytest.mark.parametrize("charset", ["hex", "idna", "punycode", "undefined"])
def test_codec_that_is_no_character_set_is_read_as_utf8(site: HttpServer, charset: str) -> None:
    result = fetch(site, "grün".encode(), **{"Content-Type": f"text/plain; charset={charset}"})

    assert result["body"] == "grün"


@pytest.mark.parametrize("charset", ["utf-16", "latin1", "windows-1252", "koi8-r", "gb18030", "Shift_JIS", "euc-kr"])
def test_character_set_of_the_type_is_used(site: HttpServer, charset: str) -> None:
    body = "a~é日ж".encode(charset, "ignore")

    result = fetch(site, body, **{"Content-Type": f"text/plain; charset={charset}"})

    assert result["body"] == body.decode(charset)


@pytest.mark.parametrize("unit", ["a", '"', "\n", "\x01", "\0", "😀"])
@pytest.mark.parametrize("size", [MAX_TASK_BYTES // 2, 3_000_000])
def test_body_is_cut_to_what_a_result_can_hold(site: HttpServer, unit: str, size: int) -> None:
    body = unit.encode() * (size // len(unit.encode()))

    result = fetch(site, body)

    assert result["body"].replace("\N{REPLACEMENT CHARACTER}", "\0").startswith(unit * 100_000)
    assert result["truncated"] is (len(result["body"]) < len(body.decode()))


def test_long_headers_leave_less_room_for_the_body(site: HttpServer) -> None:
    result = fetch(site, b"a" * MAX_TASK_BYTES, **{"X-Long": "\\" * 50_000})

    assert result["truncated"] is True
    assert MAX_TASK_BYTES - 110_000 < len(result["body"]) < MAX_TASK_BYTES - 100_000


def test_cut_body_is_as_long_as_can_be(site: HttpServer) -> None:
    result = fetch(site, b'"' * MAX_TASK_BYTES)

    size = len(json.dumps(result, separators=(",", ":")))
    assert MAX_TASK_BYTES - 10 <= size <= MAX_TASK_BYTES


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", GZIPPED),
        ("GZIP", GZIPPED),
        ("x-gzip", GZIPPED),
        ("deflate", zlib.compress(TEXT.encode())),
        ("gzip", gzip.compress(TEXT[:10].encode()) + gzip.compress(TEXT[10:].encode())),
        ("gzip", GZIPPED + bytes(1_000)),
        ("gzip", TEXT.encode()),
    ],
    ids=["gzip", "upper case", "x-gzip", "deflate", "two members", "padded", "not compressed at all"],
)
def test_compressed_body_is_decompressed(site: HttpServer, encoding: str, body: bytes) -> None:
    result = fetch(site, body, **{"Content-Encoding": encoding})

    assert result["body"] == TEXT
    assert result["truncated"] is False


def test_decompression_stops_at_the_size_limit(site: HttpServer) -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
    site.replies["/"] = Reply(200, {"Content-Encoding": "gzip"}, bomb)

    result = loopback_environment(max_body_bytes=1000).run(HttpRequest, url=f"{site.url}/")

    assert len(result["body"]) == 1000
    assert result["truncated"] is True


def test_cookies_are_kept_apart(site: HttpServer) -> None:
    cookies = ["a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT", "b=2"]
    site.replies["/"] = Reply(200, {"Set-Cookie": cookies[0], "set-cookie": cookies[1], "Vary": "a", "vary": "b"})

    result = loopback_environment().run(HttpRequest, url=f"{site.url}/")

    assert result["headers"]["set-cookie"].split("\n") == cookies
    assert result["headers"]["vary"] == "a, b"
