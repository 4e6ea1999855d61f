"""The login of `send_email` at its server."""

from __future__ import annotations

import hmac

import pytest

from taskworker.types.email.send_email import SendEmail
from tests.taskworker.types.email.mail_environment import MESSAGE, environment
from tests.taskworker.types.smtp_server import CHALLENGE, SMTPWithChallenge, StartInbox

# aiosmtpd warns of a login without TLS, which is what this test needs.
login_in_the_clear = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")


@login_in_the_clear
def test_configured_account_is_used_to_log_in(start_inbox: StartInbox) -> None:
    inbox = start_inbox(login=True, auth_require_tls=False)

    environment(inbox, username="tasks", password="right").run(SendEmail, **MESSAGE)

    assert inbox.logins == [(b"tasks", b"right")]
    assert len(inbox.envelopes) == 1


@login_in_the_clear
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("password", ["pässwörd€", "日本", "\udce4\udcff"])
def test_user_and_password_may_be_any_text(start_inbox: StartInbox, mechanism: str, password: str) -> None:
    inbox = start_inbox(login=True, auth_require_tls=False, auth_exclude_mechanism={"PLAIN", "LOGIN"} - {mechanism})

    outcome = environment(inbox, username="rübe", password=password).run(SendEmail, **MESSAGE)

    assert inbox.logins[0] == ("rübe".encode(), password.encode("utf-8", "surrogateescape"))
    assert outcome.reason == "smtp_refused"


@login_in_the_clear
def test_password_of_any_text_answers_a_challenge(start_inbox: StartInbox) -> None:
    inbox = start_inbox(
        SMTPWithChallenge, login=True, auth_require_tls=False, auth_exclude_mechanism={"PLAIN", "LOGIN"}
    )

    environment(inbox, username="rübe", password="pässwörd€").run(SendEmail, **MESSAGE)

    digest = hmac.new("pässwörd€".encode(), CHALLENGE.encode(), "md5").hexdigest()
    assert inbox.logins == [("rübe".encode(), digest.encode())]
    assert len(inbox.envelopes) == 1


@login_in_the_clear
def test_refused_login_fails_permanently_without_the_password_in_the_error(start_inbox: StartInbox) -> None:
    inbox = start_inbox(login=True, auth_require_tls=False)

    outcome = environment(inbox, username="tasks", password="wrong-secret").run(SendEmail, **MESSAGE)

    assert outcome.reason == "smtp_refused"
    assert "535" in outcome.error
    assert "wrong-secret" not in outcome.error
