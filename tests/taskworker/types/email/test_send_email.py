"""`send_email` against an SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from harness.ports import free_port
from taskcore.plugins import Fail
from taskworker.types.email.send_email import SendEmail
from tests.taskworker.types.certificates import CertificateAuthority
from tests.taskworker.types.email.mail_environment import MESSAGE, environment
from tests.taskworker.types.smtp_server import Inbox, SMTPWithBrokenQuit, StartInbox


def content(inbox: Inbox) -> bytes:
    (envelope,) = inbox.envelopes
    assert isinstance(envelope.content, bytes)
    return envelope.content


def received(inbox: Inbox) -> EmailMessage:
    message = message_from_bytes(content(inbox), policy=default)
    assert isinstance(message, EmailMessage)
    return message


def text(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).rstrip()


def test_message_has_the_given_headers_and_bodies(inbox: Inbox) -> None:
    letter = MESSAGE | {"subject": "Grüße 🎉", "cc": ["bob@example.org"], "reply_to": "desk@example.org"}

    result = environment(inbox).run(SendEmail, **letter, html="<p>How are <b>you</b>?</p>")

    message = received(inbox)
    assert message["From"] == "Taskcore <tasks@example.org>"
    assert message["To"] == "ann@example.org"
    assert message["Cc"] == "bob@example.org"
    assert message["Reply-To"] == "desk@example.org"
    assert message["Subject"] == "Grüße 🎉"
    assert text(message, "plain") == "How are you?"
    assert text(message, "html") == "<p>How are <b>you</b>?</p>"
    assert inbox.envelopes[0].mail_from == "tasks@example.org"
    assert result == {
        "message_id": message["Message-ID"],
        "accepted": ["ann@example.org", "bob@example.org"],
        "refused": {},
    }


def test_bcc_is_delivered_and_not_in_the_message(inbox: Inbox) -> None:
    environment(inbox).run(SendEmail, **MESSAGE, bcc=["eve@example.org"])

    assert inbox.envelopes[0].rcpt_tos == ["ann@example.org", "eve@example.org"]
    assert b"eve" not in content(inbox)


def test_repeated_address_gets_one_message(inbox: Inbox) -> None:
    environment(inbox).run(SendEmail, **MESSAGE, cc=["ann@example.org"])

    assert inbox.envelopes[0].rcpt_tos == ["ann@example.org"]


def test_given_sender_replaces_the_configured_one(inbox: Inbox) -> None:
    environment(inbox, allowed_senders=["*@example.org"]).run(SendEmail, **MESSAGE, sender="me@example.org")

    assert received(inbox)["From"] == "me@example.org"
    assert inbox.envelopes[0].mail_from == "me@example.org"


@pytest.mark.parametrize(
    ("allowed", "sender", "is_sent"),
    [
        ([], "Tasks@example.org", True),
        ([], "boss@example.org", False),
        (["*@Example.org"], "boss@example.ORG", True),
        (["*@example.org"], "boss@example.org.evil.example", False),
        (["*@example.org"], "boss@sub.example.org", False),
        (["*@example.org", "*@*.example.org"], "boss@sub.example.org", True),
        (["boss@example.org"], "boss2@example.org", False),
    ],
)
def test_sender_is_the_configured_one_or_allowed(inbox: Inbox, allowed: list[str], sender: str, is_sent: bool) -> None:
    outcome = environment(inbox, allowed_senders=allowed).run(SendEmail, **MESSAGE, sender=sender)

    assert len(inbox.envelopes) == is_sent
    assert is_sent or outcome == Fail(f"mails may not be sent from {sender}", "forbidden_sender")


@pytest.mark.parametrize("place", ["to", "cc", "bcc"])
def test_mail_with_a_recipient_that_is_not_allowed_is_not_sent(inbox: Inbox, place: str) -> None:
    letter = MESSAGE | {place: ["ann@example.org", "eve@evil.example"]}

    outcome = environment(inbox, allowed_recipients=["*@example.org", "*@example.com"]).run(SendEmail, **letter)

    assert outcome == Fail("mails may not be sent to eve@evil.example", "forbidden_recipient")
    assert inbox.envelopes == []


def test_second_attempt_has_the_same_message_id(inbox: Inbox) -> None:
    first = environment(inbox).run(SendEmail, **MESSAGE)
    second = environment(inbox).run(SendEmail, **MESSAGE)

    assert first["message_id"] == second["message_id"]


def test_other_tasks_and_other_messages_have_other_message_ids(inbox: Inbox) -> None:
    one = environment(inbox).run(SendEmail, **MESSAGE)
    other_task = environment(inbox, task_id=8).run(SendEmail, **MESSAGE)
    other_letter = environment(inbox).run(SendEmail, **MESSAGE | {"body": "Bye."})

    assert len({letter["message_id"] for letter in (one, other_task, other_letter)}) == 3


def test_refused_recipient_is_reported_and_the_others_get_the_message(inbox: Inbox) -> None:
    inbox.refusals["bob@example.org"] = "550 no such user"

    result = environment(inbox).run(SendEmail, **MESSAGE, cc=["bob@example.org"])

    assert result["accepted"] == ["ann@example.org"]
    assert result["refused"] == {"bob@example.org": "550 no such user"}


def test_permanent_refusal_of_all_recipients_fails_permanently(inbox: Inbox) -> None:
    inbox.refusals["ann@example.org"] = "550 no such user"

    outcome = environment(inbox).run(SendEmail, **MESSAGE)

    assert outcome == Fail("every recipient was refused: ann@example.org: 550 no such user", reason="smtp_refused")


def test_temporary_refusal_of_all_recipients_is_retried(inbox: Inbox) -> None:
    inbox.refusals |= {"ann@example.org": "451 greylisted", "bob@example.org": "550 no such user"}

    with pytest.raises(smtplib.SMTPRecipientsRefused):
        environment(inbox).run(SendEmail, **MESSAGE, cc=["bob@example.org"])


def test_permanent_refusal_of_the_message_fails_permanently(inbox: Inbox) -> None:
    inbox.data_reply = "554 this is spam"

    outcome = environment(inbox).run(SendEmail, **MESSAGE)

    assert outcome == Fail("the SMTP server refused: 554 this is spam", reason="smtp_refused")


def test_temporary_refusal_of_the_message_is_retried(inbox: Inbox) -> None:
    inbox.data_reply = "452 disk full"

    with pytest.raises(smtplib.SMTPDataError, match="disk full"):
        environment(inbox).run(SendEmail, **MESSAGE)


def test_failed_quit_does_not_send_the_message_again(start_inbox: StartInbox) -> None:
    inbox = start_inbox(SMTPWithBrokenQuit)

    result = environment(inbox).run(SendEmail, **MESSAGE)

    assert result["accepted"] == ["ann@example.org"]


def test_unreachable_server_is_retried() -> None:
    with pytest.raises(ConnectionRefusedError):
        environment(Inbox(free_port())).run(SendEmail, **MESSAGE)


def test_starttls_encrypts_before_the_login(start_inbox: StartInbox, authority: CertificateAuthority) -> None:
    inbox = start_inbox(login=True, tls_context=authority.server_context("localhost"), require_starttls=True)

    environment(inbox, tls="starttls", ca_file=authority.ca_file, username="t", password="right").run(
        SendEmail, **MESSAGE
    )

    assert inbox.logins == [(b"t", b"right")]
    assert len(inbox.envelopes) == 1


def test_missing_starttls_fails(inbox: Inbox) -> None:
    outcome = environment(inbox, tls="starttls").run(SendEmail, **MESSAGE)

    assert outcome.reason == "smtp_refused"
    assert "STARTTLS" in outcome.error
    assert inbox.envelopes == []


def test_tls_can_start_with_the_connection(start_inbox: StartInbox, authority: CertificateAuthority) -> None:
    inbox = start_inbox(ssl_context=authority.server_context("localhost"))

    environment(inbox, tls="tls", ca_file=authority.ca_file).run(SendEmail, **MESSAGE)

    assert len(inbox.envelopes) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize(("name", "is_known"), [("localhost", False), ("elsewhere.example", True)])
def test_certificate_of_another_authority_or_name_is_not_trusted(
    start_inbox: StartInbox, authority: CertificateAuthority, tls: str, name: str, is_known: bool
) -> None:
    server = authority.server_context(name)
    inbox = start_inbox(ssl_context=server) if tls == "tls" else start_inbox(tls_context=server)

    with pytest.raises(ssl.SSLCertVerificationError):
        environment(inbox, tls=tls, ca_file=authority.ca_file if is_known else None).run(SendEmail, **MESSAGE)

    assert inbox.envelopes == []
