"""The table of transitions."""

from __future__ import annotations

import pytest

from taskcore.domain.states import REBLOCK, TERMINAL, TRANSITIONS, Action, Status, available_actions


def test_only_users_lead_out_of_a_terminal_status() -> None:
    leaving = [t for t in TRANSITIONS if t.sources & TERMINAL]

    assert {t.action for t in leaving if t is not REBLOCK} == {Action.RETRY, Action.DELETE}


def test_every_status_can_be_reached() -> None:
    reached = {t.target for t in TRANSITIONS}

    assert reached >= set(Status)


@pytest.mark.parametrize(
    ("status", "actions"),
    [
        (Status.QUEUED, {Action.CANCEL, Action.PAUSE, Action.DELETE}),
        (Status.PAUSED, {Action.CANCEL, Action.RESUME, Action.DELETE}),
        (Status.RUNNING, {Action.CANCEL}),
        (Status.CANCELLING, set()),
        (Status.FAILED, {Action.RETRY, Action.DELETE}),
        (Status.SUCCEEDED, {Action.DELETE}),
    ],
)
def test_available_actions_depend_on_the_status(status: Status, actions: set[Action]) -> None:
    assert set(available_actions(status)) == actions
