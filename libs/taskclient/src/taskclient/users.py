"""The user name sent with each request, which the server records in the history without verifying it."""

from __future__ import annotations

import getpass
import re

MAX_LENGTH = 255

_SENDABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def parse_user(text: str) -> str:
    """Return the name. Raise ValueError when it cannot be sent as a header."""
    if not _SENDABLE.fullmatch(text) or len(text) > MAX_LENGTH:
        raise ValueError(f"{text!r} is not a name of 1 to {MAX_LENGTH} printable ASCII characters")
    return text


def login_name() -> str | None:
    """Return the login name of this process's user, or None when there is none that can be sent."""
    try:
        return parse_user(getpass.getuser())
    except (OSError, KeyError, ImportError, ValueError):  # no such user in the password database, as in a container
        return None
