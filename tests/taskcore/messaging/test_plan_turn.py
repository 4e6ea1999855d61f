"""What the consumer does in one turn."""

from __future__ import annotations

import pytest

from taskcore.messaging.consumer import MAX_IDLE_HOLD_S, Turn, plan_turn

JUST_NOW = 0.0
TOO_LONG = MAX_IDLE_HOLD_S


@pytest.mark.parametrize(
    ("is_closed", "unclaimed", "full_for_s", "turn"),
    [
        (False, 0, None, Turn.RECEIVE),
        (False, 3, None, Turn.CLAIM),
        (False, 3, JUST_NOW, Turn.HOLD),
        (False, 3, TOO_LONG, Turn.REQUEUE),
        (False, 0, JUST_NOW, Turn.HOLD),
        (False, 0, TOO_LONG, Turn.REQUEUE),
        (True, 0, None, Turn.DRAIN),
        (True, 3, None, Turn.DRAIN),
        (True, 3, TOO_LONG, Turn.DRAIN),
    ],
)
def test_turn_follows_from_slots_and_messages(
    is_closed: bool, unclaimed: int, full_for_s: float | None, turn: Turn
) -> None:
    assert plan_turn(is_closed=is_closed, unclaimed=unclaimed, full_for_s=full_for_s) is turn
