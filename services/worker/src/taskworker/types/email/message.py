"""Builds an email message with a Message-ID that is the same for every attempt."""

from __future__ import annotations

import hashlib
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr

import msgspec

from taskworker.types.email.headers import addresses_header, mailbox_header, text_header
from taskworker.types.email.parameters import SendEmailParameters


def build_message(task_id: int, default_sender: str, params: SendEmailParameters) -> EmailMessage:
    """Return the message. No header contains the `bcc` recipients."""
    message = EmailMessage(policy=SMTP)
    message["From"] = mailbox_header("From", params.sender or default_sender)
    message["To"] = addresses_header("To", params.to)
    if params.cc:
        message["Cc"] = addresses_header("Cc", params.cc)
    if params.reply_to:
        message["Reply-To"] = addresses_header("Reply-To", [params.reply_to])
    message["Subject"] = text_header("Subject", params.subject)
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = addresses_header("Message-ID", [message_id(task_id, default_sender, params)])
    message.set_content(params.body)
    if params.html is not None:
        message.add_alternative(params.html, subtype="html")
    return message


def message_id(task_id: int, default_sender: str, params: SendEmailParameters) -> str:
    """Return an id that is the same for every attempt of a task.

    It contains a digest of the parameters, because task ids of all installations start at 1 and mailboxes drop
    messages with a known id as duplicates.
    """
    digest = hashlib.sha256(msgspec.json.encode(params)).hexdigest()[:16]
    domain = sender_address(default_sender).rpartition("@")[2] or "localhost"
    return f"<taskcore.{task_id}.{digest}@{domain}>"


def sender_address(sender: str) -> str:
    """Return the address of `sender` without a display name."""
    return parseaddr(sender)[1]
