"""Who asks: a name that the server puts into the history. It believes what it is told."""

from __future__ import annotations

import getpass
import re

MAX_LENGTH = 255

_SENDABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def parse_user(text: str) -> str:
    """Raises ValueError for a name that cannot be sent."""
    if not _SENDABLE.fullmatch(text) or len(text) > MAX_LENGTH:
        raise ValueError(f"{text!r} is not a name of 1 to {MAX_LENGTH} printable ASCII characters")
    return text


def login_name() -> str | None:
    """Who this process belongs to, if that has a name which can be sent."""
    try:
        return parse_user(getpass.getuser())
    except (OSError, KeyError, ImportError, ValueError):  # no such user in the password database, as in a container
        return None
