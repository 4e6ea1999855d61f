"""`send_email`: hands one message to the configured SMTP server.

At least once: when a worker dies between the server's yes and the settled result, the message goes out again,
under the same Message-ID, by which a mailbox can tell. An interrupt cuts the connection: a message that the server
has taken by then is sent, whatever becomes of the task.
"""

from __future__ import annotations

import smtplib
from typing import Annotated

import msgspec
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

from taskcore.observability.tracing.client_spans import ClientSpan, client_span
from taskcore.observability.tracing.conventions import Attributes
from taskcore.plugins import Fail, Parameters, Plugin, TaskContext
from taskcore.plugins.network.sockets import SocketRegistry
from taskworker.types.email import smtp
from taskworker.types.email.message import build_message
from taskworker.types.patterns import END_OF_TEXT

#: How many, in traces: addresses are nobody's business there.
RECIPIENT_COUNT = "taskcore.email.recipients"
REFUSED_COUNT = "taskcore.email.recipients_refused"

ATOM = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+"  # RFC 5322's atext, but for the ? of an encoded word
DOMAIN_LABEL = r"[A-Za-z0-9-]+"  # a domain of other alphabets is written in Punycode
ADDRESS = rf"^{ATOM}(?:\.{ATOM})*@{DOMAIN_LABEL}(?:\.{DOMAIN_LABEL})*{END_OF_TEXT}"
# An encoded word (=?utf-8?q?=0d=0aBcc:…?=) is decoded when the header is parsed, line breaks and all: a way to inject.
ONE_LINE = rf"^(?![\s\S]*=\?)[^\x00-\x1f\x7f-\x9f\u2028\u2029]*{END_OF_TEXT}"

EmailAddress = Annotated[str, msgspec.Meta(pattern=ADDRESS, max_length=254)]
Recipients = Annotated[tuple[EmailAddress, ...], msgspec.Meta(max_length=100)]
Subject = Annotated[str, msgspec.Meta(pattern=ONE_LINE, max_length=998)]
Text = Annotated[str, msgspec.Meta(max_length=65_536)]


class SendEmailParameters(Parameters, frozen=True):
    to: Annotated[Recipients, msgspec.Meta(min_length=1, description="The addresses it goes to")]
    subject: Annotated[Subject, msgspec.Meta(description="One line, without control characters or encoded words (=?)")]
    body: Annotated[Text, msgspec.Meta(description="The message as plain text")]
    html: Annotated[Text | None, msgspec.Meta(description="The same message as HTML")] = None
    cc: Annotated[Recipients, msgspec.Meta(description="Addresses that get a copy")] = ()
    bcc: Annotated[Recipients, msgspec.Meta(description="Addresses that get a copy unseen by the others")] = ()
    sender: Annotated[EmailAddress | None, msgspec.Meta(description="From whom; by default as configured")] = None
    reply_to: Annotated[EmailAddress | None, msgspec.Meta(description="Where answers go")] = None

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
            with SocketRegistry() as sockets, ctx.on_interrupt(sockets.shutdown_all), _send_span(ctx, params) as span:
                refused = smtp.send(ctx.settings.smtp, message, params.recipients, sockets)
                span.set_attribute(REFUSED_COUNT, len(refused))
        except (smtplib.SMTPException, OSError) as exc:
            ctx.check()  # a connection that was cut because the attempt is to stop
            if not smtp.is_permanent(exc):
                raise
            return Fail(smtp.describe_error(exc), reason="smtp_refused")
        return {
            "message_id": str(message["Message-ID"]),
            "accepted": [address for address in params.recipients if address not in refused],
            "refused": {address: smtp.format_reply(reply) for address, reply in refused.items()},
        }


def _send_span(ctx: TaskContext, params: SendEmailParameters) -> ClientSpan:
    server = ctx.settings.smtp
    attributes: Attributes = {
        SERVER_ADDRESS: server.host,
        SERVER_PORT: server.port,
        RECIPIENT_COUNT: len(params.recipients),
    }
    return client_span(ctx.tracer, "SMTP send", attributes, smtp.error_type)
