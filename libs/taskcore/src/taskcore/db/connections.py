"""How every connection to PostgreSQL is made, and what each session is given, whatever the server's defaults are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from taskcore.settings import database_parameters

CONNECT_TIMEOUT_S = 5

#: A server that vanishes silently is noticed after about 15 s. The URL may set all of these.
DEFAULT_PARAMETERS: Mapping[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

#: The defaults of a database or role may be anything. Times come in UTC: Python compares times of one daylight-saving
#: zone by their wall clocks. psycopg reads only this style of intervals, and of times none but ISO.
REQUIRED_SETTINGS: Mapping[str, str] = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "default_transaction_isolation": "read committed",
    "standard_conforming_strings": "on",
}

#: Compiling takes longer than any of our statements: before PostgreSQL 18, the disabled plans of `KEY_LOOKUP_OPTIONS`
#: count as expensive enough for it. A process that is stopped or cut off in the middle of a transaction holds its locks
#: no longer than this.
DEFAULT_SETTINGS: Mapping[str, str] = {"jit": "off", "idle_in_transaction_session_timeout": "10s"}

#: What is committed must survive a crash, so weaker values of the server are raised. `remote_apply` is stronger.
_SYNCHRONOUS_COMMIT = """
    set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply'
        ELSE 'on' END, false)
"""

#: Values that do what the required one does, in lower case.
_AS_GOOD: Mapping[str, tuple[str, ...]] = {
    "DateStyle": ("iso, dmy", "iso, ymd"),
    "TimeZone": ("etc/utc", "gmt"),
    "synchronous_commit": ("remote_apply",),
}


def driver_parameters(url: str, *, name: str) -> dict[str, Any]:
    """Return the arguments with which psycopg connects to `url`, shown as `name` in pg_stat_activity.

    Of several hosts, the one that accepts writes is used, unless the URL says otherwise.
    """
    given = database_parameters(url)
    if "," in given.get("host", ""):
        given.setdefault("target_session_attrs", "read-write")
    return {**DEFAULT_PARAMETERS, **given, "application_name": name, "client_encoding": "UTF8"}


def session_statement(parameters: Mapping[str, Any], settings: Mapping[str, str]) -> str:
    """Return the statement that gives a new session its settings: those of the caller, and those of every session.

    What the URL sets by its `options` stays, except for `REQUIRED_SETTINGS`.
    """
    chosen = str(parameters.get("options", "")).replace("-", "_").lower()
    wanted = {name: value for name, value in {**DEFAULT_SETTINGS, **settings}.items() if f"{name}=" not in chosen}
    calls = [f"set_config('{name}', '{value}', false)" for name, value in {**wanted, **REQUIRED_SETTINGS}.items()]
    if "synchronous_commit=" not in chosen:
        calls.append(_SYNCHRONOUS_COMMIT)
    return f"SELECT {', '.join(calls)}"


def unsuitable_settings(found: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a session, `found`, that Taskcore cannot work with, and the values that they need."""
    wanted = {**REQUIRED_SETTINGS, "synchronous_commit": "on"}
    suitable = {name: {value.lower(), *_AS_GOOD.get(name, ())} for name, value in wanted.items()}
    return {name: value for name, value in wanted.items() if found.get(name, "").lower() not in suitable[name]}


def connect(url: str, *, name: str) -> psycopg.Connection[Any]:
    """Open a connection of its own, which needs no settings, such as a listener's. It commits each statement."""
    return psycopg.connect(**driver_parameters(url, name=name), autocommit=True)


async def connect_async(url: str, *, name: str) -> psycopg.AsyncConnection[Any]:
    """As `connect`, for asyncio."""
    return await psycopg.AsyncConnection.connect(**driver_parameters(url, name=name), autocommit=True)
