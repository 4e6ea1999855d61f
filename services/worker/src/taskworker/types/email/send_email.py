"""`send_email`: send one message through the configured SMTP server.

At least once: if the worker dies after the server has accepted the message and before the result is stored, the
message is sent again with the same Message-ID. An interrupt closes the connection; a message that the server has
accepted by then is delivered, whatever the task's status.
"""

from __future__ import annotations

import smtplib

from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

from taskcore.observability.tracing.client_spans import ClientSpan, client_span
from taskcore.observability.tracing.conventions import Attributes
from taskcore.plugins import Fail, Plugin, TaskContext
from taskcore.plugins.network.sockets import SocketRegistry
from taskworker.types.email import smtp
from taskworker.types.email.message import build_message
from taskworker.types.email.parameters import SendEmailParameters
from taskworker.types.email.policy import find_violation

#: Span attributes. Traces hold the number of recipients, not their addresses.
RECIPIENT_COUNT = "taskcore.email.recipients"
REFUSED_COUNT = "taskcore.email.recipients_refused"


class SendEmail(Plugin[SendEmailParameters]):
    name = "send_email"
    description = "Sends an email through the configured SMTP server."

    def run(self, ctx: TaskContext, params: SendEmailParameters) -> object:
        """Return the Message-ID, the accepted recipients, and the refused ones with the server's replies.

        Partial refusal is no failure, temporary or not: another attempt would reach the accepted recipients twice.
        """
        if refusal := find_violation(ctx.settings.smtp, params):
            return refusal
        message = build_message(ctx.task_id, ctx.settings.smtp.sender, params)
        try:
            with SocketRegistry() as sockets, ctx.on_interrupt(sockets.shutdown_all), _send_span(ctx, params) as span:
                refused = smtp.send(ctx.settings.smtp, message, params.recipients, sockets)
                span.set_attribute(REFUSED_COUNT, len(refused))
        except (smtplib.SMTPException, OSError) as exc:
            ctx.check()  # raises if the connection was closed by an interrupt
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
