"""`send_email` against a real SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from harness.ports import free_port
from taskcore.plugins import Fail, TaskContext
from taskworker.types.email.send_email import SendEmail
from tests.taskworker.types.certificates import CertificateAuthority
from tests.taskworker.types.contexts import make_context, run
from tests.taskworker.types.smtp_server import FumblingSMTP, Inbox, StartInbox

LETTER = {"to": ["ann@example.org"], "subject": "Hello", "body": "How are you?\n"}

# The server's own warnings: an unencrypted login is what the test wants, the other is how it greets itself.
login_in_the_clear = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


def context(inbox: Inbox, task_id: int = 7, **smtp: Any) -> TaskContext:
    settings = {"host": "localhost", "port": inbox.port, "sender": "Taskcore <tasks@example.org>", "timeout_s": 20}
    return make_context(task_id, smtp=settings | smtp)


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


def test_a_message_reaches_the_server_as_it_was_asked_for(inbox: Inbox) -> None:
    letter = LETTER | {"subject": "Grüße 🎉", "cc": ["bob@example.org"], "reply_to": "desk@example.org"}

    result = run(SendEmail, context(inbox), **letter, html="<p>How are <b>you</b>?</p>")

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


def test_a_blind_copy_is_delivered_and_named_nowhere(inbox: Inbox) -> None:
    run(SendEmail, context(inbox), **LETTER, bcc=["eve@example.org"])

    assert inbox.envelopes[0].rcpt_tos == ["ann@example.org", "eve@example.org"]
    assert b"eve" not in content(inbox)


def test_an_address_given_twice_gets_one_message(inbox: Inbox) -> None:
    run(SendEmail, context(inbox), **LETTER, cc=["ann@example.org"])

    assert inbox.envelopes[0].rcpt_tos == ["ann@example.org"]


def test_a_sender_of_the_tasks_own_replaces_the_configured_one(inbox: Inbox) -> None:
    run(SendEmail, context(inbox), **LETTER, sender="me@example.org")

    assert received(inbox)["From"] == "me@example.org"
    assert inbox.envelopes[0].mail_from == "me@example.org"


def test_a_second_attempt_has_the_message_id_of_the_first(inbox: Inbox) -> None:
    first = run(SendEmail, context(inbox), **LETTER)
    second = run(SendEmail, context(inbox), **LETTER)

    assert first["message_id"] == second["message_id"]


def test_other_tasks_and_other_letters_have_other_message_ids(inbox: Inbox) -> None:
    one = run(SendEmail, context(inbox), **LETTER)
    other_task = run(SendEmail, context(inbox, task_id=8), **LETTER)
    other_letter = run(SendEmail, context(inbox), **LETTER | {"body": "Bye."})

    assert len({letter["message_id"] for letter in (one, other_task, other_letter)}) == 3


def test_a_refused_recipient_is_told_and_the_others_get_the_message(inbox: Inbox) -> None:
    inbox.refusals["bob@example.org"] = "550 no such user"

    result = run(SendEmail, context(inbox), **LETTER, cc=["bob@example.org"])

    assert result["accepted"] == ["ann@example.org"]
    assert result["refused"] == {"bob@example.org": "550 no such user"}


def test_all_recipients_refused_for_good_fails_for_good(inbox: Inbox) -> None:
    inbox.refusals["ann@example.org"] = "550 no such user"

    outcome = run(SendEmail, context(inbox), **LETTER)

    assert outcome == Fail("every recipient was refused: ann@example.org: 550 no such user", reason="smtp_refused")


def test_all_recipients_refused_for_now_is_worth_another_attempt(inbox: Inbox) -> None:
    inbox.refusals |= {"ann@example.org": "451 greylisted", "bob@example.org": "550 no such user"}

    with pytest.raises(smtplib.SMTPRecipientsRefused):
        run(SendEmail, context(inbox), **LETTER, cc=["bob@example.org"])


def test_a_message_refused_for_good_fails_for_good(inbox: Inbox) -> None:
    inbox.data_reply = "554 this is spam"

    outcome = run(SendEmail, context(inbox), **LETTER)

    assert outcome == Fail("the SMTP server refused: 554 this is spam", reason="smtp_refused")


def test_a_message_refused_for_now_is_worth_another_attempt(inbox: Inbox) -> None:
    inbox.data_reply = "452 disk full"

    with pytest.raises(smtplib.SMTPDataError, match="disk full"):
        run(SendEmail, context(inbox), **LETTER)


def test_a_server_that_fumbles_the_goodbye_does_not_have_the_message_sent_again(start_inbox: StartInbox) -> None:
    inbox = start_inbox(FumblingSMTP)

    result = run(SendEmail, context(inbox), **LETTER)

    assert result["accepted"] == ["ann@example.org"]


def test_no_server_is_worth_another_attempt() -> None:
    with pytest.raises(ConnectionRefusedError):
        run(SendEmail, context(Inbox(free_port())), **LETTER)


@login_in_the_clear
def test_it_logs_in_with_the_configured_account(start_inbox: StartInbox) -> None:
    inbox = start_inbox(login=True, auth_require_tls=False)

    run(SendEmail, context(inbox, username="tasks", password="right"), **LETTER)

    assert inbox.logins == [(b"tasks", b"right")]
    assert len(inbox.envelopes) == 1


@login_in_the_clear
def test_a_refused_login_fails_for_good_and_does_not_tell_the_password(start_inbox: StartInbox) -> None:
    inbox = start_inbox(login=True, auth_require_tls=False)

    outcome = run(SendEmail, context(inbox, username="tasks", password="wrong-secret"), **LETTER)

    assert outcome.reason == "smtp_refused"
    assert "535" in outcome.error
    assert "wrong-secret" not in outcome.error


def test_starttls_encrypts_before_the_login(start_inbox: StartInbox, authority: CertificateAuthority) -> None:
    inbox = start_inbox(login=True, tls_context=authority.server_context("localhost"), require_starttls=True)

    run(SendEmail, context(inbox, tls="starttls", ca_file=authority.ca_file, username="t", password="right"), **LETTER)

    assert inbox.logins == [(b"t", b"right")]
    assert len(inbox.envelopes) == 1


def test_starttls_is_not_given_up_where_the_server_lacks_it(inbox: Inbox) -> None:
    outcome = run(SendEmail, context(inbox, tls="starttls"), **LETTER)

    assert outcome.reason == "smtp_refused"
    assert "STARTTLS" in outcome.error
    assert inbox.envelopes == []


def test_tls_from_the_first_byte(start_inbox: StartInbox, authority: CertificateAuthority) -> None:
    inbox = start_inbox(ssl_context=authority.server_context("localhost"))

    run(SendEmail, context(inbox, tls="tls", ca_file=authority.ca_file), **LETTER)

    assert len(inbox.envelopes) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
@pytest.mark.parametrize(("name", "is_known"), [("localhost", False), ("elsewhere.example", True)])
def test_a_certificate_of_an_unknown_authority_or_another_name_is_not_trusted(
    start_inbox: StartInbox, authority: CertificateAuthority, tls: str, name: str, is_known: bool
) -> None:
    server = authority.server_context(name)
    inbox = start_inbox(ssl_context=server) if tls == "tls" else start_inbox(tls_context=server)

    with pytest.raises(ssl.SSLCertVerificationError):
        run(SendEmail, context(inbox, tls=tls, ca_file=authority.ca_file if is_known else None), **LETTER)

    assert inbox.envelopes == []
