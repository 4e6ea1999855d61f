"""What the reference model's test chooses from: actions, and the parameters of submitted tasks."""

from __future__ import annotations

import os

from hypothesis import strategies as st

from taskcore.domain.outcomes import MAX_CRASHES, MAX_WORKER_LOSSES
from tests.taskcore.db.tasks.reference_model import RESULTS

EXAMPLES = {"long": 2_000}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 60)
STEPS = 50

#: The actions, and how often each is chosen.
VERBS = {
    "claim": 8,
    "settle": 8,
    "time_comes": 4,
    "cancel": 3,
    "pause": 2,
    "resume": 2,
    "retry": 3,
    "submit": 3,
    "resolve_dependencies": 4,
    "delete": 1,
    "rescue": 2,
    "report": 1,
    "give_up": 1,
    "forget": 1,
    "expire": 1,
    "hire": 1,
    "heartbeat": 1,
    "pause_queue": 1,
    "resume_queue": 2,
    "settle_with_a_wrong_token": 1,
}
QUEUES = ("one", "two")

VERB = st.sampled_from([verb for verb, weight in VERBS.items() for _ in range(weight)])
PICK = st.integers(0, 999)
HOW = st.sampled_from(sorted(RESULTS))
ASKED = st.fixed_dictionaries(
    {
        "queue": st.sampled_from(QUEUES),
        "max_attempts": st.integers(1, 3),
        "type": st.sampled_from(["soft", "soft", "hard", "rare"]),
        "runs_in_future": st.booleans(),
        "parents": st.lists(PICK, max_size=2),
        "crashes": st.sampled_from([0, MAX_CRASHES - 1]),
        "worker_losses": st.sampled_from([0, MAX_WORKER_LOSSES - 1]),
    }
)
