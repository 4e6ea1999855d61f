"""`send_email`: hands one message to the configured SMTP server.

At least once: when a worker dies between the server's yes and the settled result, the message goes out again,
under the same Message-ID, by which a mailbox can tell.
"""

from __future__ import annotations

import smtplib
from email.headerregistry import Address
from typing import Annotated

import msgspec

from taskcore.plugins import Fail, Parameters, Plugin, TaskContext
from taskworker.types import smtp
from taskworker.types.email_message import build_message

MAX_TEXT = 65_536

# Python's `$` also matches before a final line break; `(?![\s\S])` is the end in every dialect of regular expressions.
EmailAddress = Annotated[
    str, msgspec.Meta(pattern=r"^[^\s\x00-\x20\x7f<>()\[\],;:\\\"@]+@[^\s\x00-\x20\x7f<>()\[\],;:\\\"@]+(?![\s\S])", max_length=254)
]
Recipients = Annotated[tuple[EmailAddress, ...], msgspec.Meta(max_length=100)]


class SendEmailParameters(Parameters):
    to: Annotated[
        tuple[EmailAddress, ...],
        msgspec.Meta(min_length=1, max_length=100, description="The addresses it goes to"),
    ]
    subject: Annotated[
        str,
        msgspec.Meta(
            max_length=998,
            pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*(?![\s\S])",
            description="One line, without control characters",
        ),
    ]
    body: Annotated[str, msgspec.Meta(max_length=MAX_TEXT, description="The message as plain text")]
    html: Annotated[str, msgspec.Meta(max_length=MAX_TEXT, description="The same message as HTML")] | None = None
    cc: Annotated[Recipients, msgspec.Meta(description="Addresses that get a copy")] = ()
    bcc: Annotated[Recipients, msgspec.Meta(description="Addresses that get a copy unseen by the others")] = ()
    sender: Annotated[EmailAddress, msgspec.Meta(description="Who it is from; the configured sender by default")] | None = (
        None
    )
    reply_to: Annotated[EmailAddress, msgspec.Meta(description="Where answers go")] | None = None

    def __post_init__(self) -> None:
        for address in filter(None, (*self.recipients, self.sender, self.reply_to)):
            _check_address(address)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who gets it, each once."""
        return tuple(dict.fromkeys((*self.to, *self.cc, *self.bcc)))


class SendEmail(Plugin[SendEmailParameters]):
    name = "send_email"
    description = "Sends an email through the configured SMTP server."

    def run(self, ctx: TaskContext, params: SendEmailParameters) -> object:
        """Returns the Message-ID, who was accepted, and who was refused with the server's words.

        Some refused, for now or for good, is no failure: another attempt would reach the others twice.
        """
        message = build_message(ctx.task_id, ctx.settings.smtp.sender, params)
        try:
            refused = smtp.send(ctx.settings.smtp, message, params.recipients)
        except smtplib.SMTPException as exc:
            if not smtp.is_permanent(exc):
                raise
            return Fail(smtp.describe(exc), reason="smtp_refused")
        return {
            "message_id": str(message["Message-ID"]),
            "accepted": [address for address in params.recipients if address not in refused],
            "refused": {address: smtp.reply_text(reply) for address, reply in refused.items()},
        }


def _check_address(address: str) -> None:
    try:
        Address(addr_spec=address)
    except Exception as exc:  # the standard library's parser raises IndexError and others on what it cannot read
        raise ValueError(f"{address!r} is not an email address") from exc
