"""Whom the operator allows to send mail as, and to."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from taskcore.plugins import Fail
from taskcore.settings import SmtpSettings
from taskworker.types.email.message import sender_address
from taskworker.types.email.parameters import SendEmailParameters


def find_violation(settings: SmtpSettings, params: SendEmailParameters) -> Fail | None:
    """Return why the operator does not allow this mail, or None."""
    sender = params.sender
    own = sender_address(settings.sender).lower()
    if sender is not None and sender.lower() != own and not _matches(sender, settings.allowed_senders):
        return Fail(f"mails may not be sent from {sender}", reason="forbidden_sender")
    refused = [address for address in params.recipients if not _matches(address, settings.allowed_recipients)]
    if refused:
        return Fail(f"mails may not be sent to {', '.join(refused)}", reason="forbidden_recipient")
    return None


def _matches(address: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(address.lower(), pattern.lower()) for pattern in patterns)
