"""The parameters of `send_email`. A pattern keeps header injection out of addresses; a subject is cleaned when sent."""

from __future__ import annotations

from typing import Annotated

import msgspec

from taskcore.plugins import Parameters
from taskworker.types.patterns import END_OF_TEXT

ATOM = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+"  # RFC 5322's atext, without the ? of encoded words
DOMAIN_LABEL = r"[A-Za-z0-9-]+"  # internationalized domains are written in Punycode
ADDRESS = rf"^{ATOM}(?:\.{ATOM})*@{DOMAIN_LABEL}(?:\.{DOMAIN_LABEL})*{END_OF_TEXT}"

EmailAddress = Annotated[str, msgspec.Meta(pattern=ADDRESS, max_length=254)]
Recipients = Annotated[tuple[EmailAddress, ...], msgspec.Meta(max_length=100)]
Text = Annotated[str, msgspec.Meta(max_length=65_536)]


class SendEmailParameters(Parameters, frozen=True):
    to: Annotated[Recipients, msgspec.Meta(min_length=1, description="Recipients")]
    subject: Annotated[
        Text, msgspec.Meta(description="Sent as one line of up to 998 characters, without control characters")
    ]
    body: Annotated[Text, msgspec.Meta(description="The message as plain text")]
    html: Annotated[Text | None, msgspec.Meta(description="The same message as HTML")] = None
    cc: Annotated[Recipients, msgspec.Meta(description="Recipients of a copy")] = ()
    bcc: Annotated[Recipients, msgspec.Meta(description="Recipients hidden from the others")] = ()
    sender: Annotated[
        EmailAddress | None, msgspec.Meta(description="From address; the configured sender by default")
    ] = None
    reply_to: Annotated[EmailAddress | None, msgspec.Meta(description="Reply-To address")] = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """All recipients, each once."""
        return tuple(dict.fromkeys((*self.to, *self.cc, *self.bcc)))
