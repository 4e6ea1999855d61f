"""A small HTTP server that sends scripted responses and records the requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BASE_PATH = "/api/v1"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """A response. With `status` 0 the connection is closed instead, as if the response was lost."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


LOST = Answer(0)
Reply = Answer | Callable[[Request], Answer]


class FakeTaskServer:
    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._replies: dict[tuple[str, str], list[Reply]] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def on(self, method: str, path: str, *replies: Reply) -> None:
        """Send each reply in turn, and the last one from then on."""
        self._replies[method, BASE_PATH + path] = list(replies)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        replies = self._replies.get((request.method, request.path))
        if replies is None:
            return problem(404, "not_found", f"nothing at {request.method} {request.path}")
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        return reply if isinstance(reply, Answer) else reply(request)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = (
                True  # headers and body are two writes: with Nagle's algorithm each response takes 40 ms
            )

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = parse_qs(url.query, keep_blank_values=True)
                request = Request(self.command, url.path, query, headers, json.loads(body) if body else None)
                self.send(server.answer(request))

            def send(self, answer: Answer) -> None:
                if answer.status == 0:
                    self.close_connection = True
                    return
                raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                raw = b"" if answer.body is None else raw
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: Any) -> None:
                return None

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        return Handler


def task_body(task_id: int = 5, **fields: Any) -> dict[str, Any]:
    """Return a task as the API sends it, with a field that the client does not know."""
    return {
        "id": task_id,
        "name": "say hello",
        "type": "noop",
        "queue": "default",
        "status": "queued",
        "priority": 0,
        "parameters": {},
        "labels": {},
        "description": None,
        "run_at": None,
        "max_attempts": 4,
        "attempt": 0,
        "failures": 0,
        "result": None,
        "error": None,
        "reason": None,
        "worker_id": None,
        "request_id": "r-1",
        "idempotency_key": None,
        "created_at": "2030-01-02T03:04:05Z",
        "started_at": None,
        "finished_at": None,
        "available_actions": ["cancel", "delete"],
        "of_a_newer_server": {"x": 1},
    } | fields


def page_body(*tasks: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    count = len(tasks) if total is None else total
    return {"items": list(tasks), "total": count, "total_is_capped": False, "next_cursor": None}


def problem(status: int, code: str, detail: str | None = None, **fields: Any) -> Answer:
    body = {"type": "about:blank", "title": "It was refused", "status": status, "code": code, "detail": detail}
    headers = {"Content-Type": "application/problem+json"}
    if retry_after := fields.pop("retry_after", None):
        headers["Retry-After"] = retry_after
    return Answer(status, body | {"request_id": "r-9"} | fields, headers)
