"""How an email is put together: headers that cannot be injected into, and a Message-ID that stays."""

from __future__ import annotations

import hashlib
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from taskworker.types.email.send_email import SendEmailParameters


def build_message(task_id: int, default_sender: str, params: SendEmailParameters) -> EmailMessage:
    """The message; `bcc` is in no header of it."""
    message = EmailMessage(policy=SMTP)
    message["From"] = params.sender or default_sender
    message["To"] = ", ".join(params.to)
    if params.cc:
        message["Cc"] = ", ".join(params.cc)
    if params.reply_to:
        message["Reply-To"] = params.reply_to
    message["Subject"] = params.subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = message_id(task_id, default_sender, params)
    message.set_content(params.body)
    if params.html is not None:
        message.add_alternative(params.html, subtype="html")
    return message


def message_id(task_id: int, default_sender: str, params: SendEmailParameters) -> str:
    """The same at every attempt of a task.

    The digest of the parameters keeps two installations, whose task ids both start at 1, from sending different
    messages under one id: mailboxes drop what they take for a duplicate.
    """
    digest = hashlib.sha256(msgspec.json.encode(params)).hexdigest()[:16]
    domain = sender_address(default_sender).rpartition("@")[2] or "localhost"
    return f"<taskcore.{task_id}.{digest}@{domain}>"


def sender_address(sender: str) -> str:
    """The bare address of `sender`, which may carry a display name."""
    return parseaddr(sender)[1]
