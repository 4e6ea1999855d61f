"""A TCP proxy that can drop traffic, reset its connections, or act on certain messages."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

Upstream = Path | tuple[str, int]

CHUNK = 65_536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s turns a close into a reset


class Tap(Protocol):
    """Sees the bytes of one connection before they are forwarded. Returning True resets the connection instead."""

    def on_client_data(self, data: bytes) -> bool: ...

    def on_server_data(self, data: bytes) -> bool: ...


class NullTap:
    def on_client_data(self, data: bytes) -> bool:
        return False

    on_server_data = on_client_data


class Proxy:
    """Connects one process with one server. Call its methods from any thread but its own."""

    def __init__(self, upstream: Upstream, tap: Callable[[], Tap] = NullTap) -> None:
        self._upstream = upstream
        self._watch = tap
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_resetting = False
        self._loop = asyncio.new_event_loop()
        self._forwarding = asyncio.Event()
        self._forwarding.set()
        self._closing = asyncio.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = Thread(target=self._run, name=f"proxy {self.port}", daemon=True)
        self._thread.start()

    def set_tap(self, watch: Callable[[], Tap]) -> None:
        """Use this tap for new connections."""
        self._watch = watch

    def blackhole(self) -> None:
        """Forward nothing, silently. Data in flight arrives after `heal`, as with TCP."""
        self._loop.call_soon_threadsafe(self._forwarding.clear)

    def reset(self) -> None:
        """Reset all connections, and new ones as they arrive."""
        self._is_resetting = True
        self.reset_once()

    def reset_once(self) -> None:
        """Reset all present connections."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def heal(self) -> None:
        self._is_resetting = False
        self._loop.call_soon_threadsafe(self._forwarding.set)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._connect, sock=self._listener, limit=CHUNK)
        await self._closing.wait()
        server.close()
        self._reset_all()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._forwarding.wait()
            if not self._is_resetting:
                await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            return  # the server is unavailable or the proxy is closing
        finally:
            _reset(writer)
            self._writers.discard(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._upstream, Path):
            upstream_reader, upstream_writer = await asyncio.open_unix_connection(str(self._upstream), limit=CHUNK)
        else:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream, limit=CHUNK)
        watch = self._watch()
        try:
            await _first_end(
                self._pass(reader, upstream_writer, watch.on_client_data),
                self._pass(upstream_reader, writer, watch.on_server_data),
            )
        finally:
            _reset(upstream_writer)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sees: Callable[[bytes], bool]
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._forwarding.wait()
            if sees(data):
                return
            writer.write(data)
            await writer.drain()

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def _first_end(*passes: Coroutine[Any, Any, None]) -> None:
    """Wait until one direction ends, then cancel the other."""
    tasks = [asyncio.ensure_future(one) for one in passes]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
