"""One trial of a fault: the system, the load on it, and the observations for its result."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from faults.invariants import Findings, check_invariants
from faults.load.generator import LoadGenerator, count_tasks
from faults.load.submissions import Submission
from faults.network.proxies import Proxies
from faults.observers.backlog import Backlog
from faults.observers.feed_reader import FeedReader
from faults.system.system import SupervisedSystem

WARM_UP_S = 8.0
STABLE_S = 5.0  # how long the backlog must stay at its level
EXTRA_WAIT_S = 60.0  # wait this much longer after a missed limit, to report by how much it was missed
RECOVERY_LIMIT_S = 10.0
MIN_COMPLETED = 0.95
DRAIN_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """`rate`: tasks per second. `is_smoke`: check only the invariants, not durations and rates."""

    rate: float
    is_smoke: bool = False

    def pick(self, full: int, smoke: int) -> int:
        """Return how often to repeat something: `full`, or `smoke` in a smoke run."""
        return smoke if self.is_smoke else full


@dataclass(slots=True)
class Trial:
    """The state of one trial. `figures` are printed; any entry in `failures` fails the fault."""

    system: SupervisedSystem
    config: TrialConfig
    directory: Path
    proxies: Mapping[str, Proxies] = field(default_factory=dict)
    figures: dict[str, float | str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    recovered_s: float | None = None
    may_overlap: bool = False
    feed_reader: FeedReader = field(init=False)

    def __post_init__(self) -> None:
        self.feed_reader = FeedReader(self.system.database_url)
        self.feed_reader.start()

    def require(self, holds: bool, what: str) -> None:
        """Record a failure when an invariant does not hold."""
        if not holds:
            self.failures.append(what)

    def at_most(self, name: str, measured: float, limit: float) -> None:
        """Record the figure, and a failure when it exceeds the limit. A smoke run ignores limits."""
        self.figures[name] = round(measured, 3)
        if measured > limit and not self.config.is_smoke:
            self.failures.append(f"{name}: {measured:.3g}, the limit is {limit:.3g}")

    def at_least(self, name: str, measured: float, limit: float) -> None:
        self.figures[name] = round(measured, 4)
        if measured < limit and not self.config.is_smoke:
            self.failures.append(f"{name}: {measured:.4g}, the limit is {limit:.4g}")

    def gate(self, name: str) -> Path:
        """Return a path that does not exist yet; tasks of type `work` can wait for it to appear."""
        return self.directory / name

    @contextmanager
    def under_load(
        self,
        *,
        rate: float | None = None,
        recovers_within_s: float = RECOVERY_LIMIT_S,
        all_run_within_s: float | None = None,
        completed: float = MIN_COMPLETED,
    ) -> Iterator[LoadGenerator]:
        """Run the load around the body, which is the fault, and afterwards until the backlog is back at its level.

        With `all_run_within_s`, check instead how soon all tasks accepted before the end of the fault have started.
        """
        load = LoadGenerator(self.system.url, rate or self.config.rate)
        backlog = Backlog(self.system.database_url)
        before_s = 2.0 if self.config.is_smoke else WARM_UP_S
        began = time.monotonic()
        load.start()
        backlog.start()
        time.sleep(before_s)
        level = backlog.level(began + before_s / 2)
        try:
            yield load
            over_at = time.monotonic()
            if all_run_within_s is not None:
                self._run_all(over_at, all_run_within_s)
            self._recover(backlog, level, over_at, recovers_within_s, is_judged=all_run_within_s is None)
            self._count_completed(load, completed)
        finally:
            load.stop()
            backlog.stop()
            self.submissions += load.submissions
        self._note_responses(load)

    def drain(self) -> None:
        """Wait until no task is open, at most `DRAIN_TIMEOUT_S`."""
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while self.system.count_open_tasks() and time.monotonic() < deadline:
            time.sleep(0.2)

    def findings(self) -> Findings:
        """Check the invariants once no task is open."""
        self.drain()
        self.feed_reader.stop()
        return check_invariants(self.system, self.submissions, self.feed_reader, may_overlap=self.may_overlap)

    def start_delays_s(self, submissions: Sequence[Submission]) -> list[float]:
        """Return the sorted times from accepted submission to first start, of the tasks in the journal."""
        runs = self.system.journal.runs()
        waits = (
            (submission.requests[-1].at, runs[task_id][0])
            for submission in submissions
            for task_id in submission.ids
            if task_id in runs and not submission.has_dependencies
        )
        return sorted(run.began_at - submitted_at for submitted_at, run in waits)

    def _run_all(self, over_at: float, within_s: float) -> None:
        """Wait until all tasks accepted so far have started, and check how long that took."""
        newest = self.system.scalar("SELECT max(id) FROM task")
        left = "SELECT count(*) FROM task WHERE id <= %s AND status IN ('blocked', 'queued')"
        while self.system.scalar(left, newest) and time.monotonic() < over_at + within_s + EXTRA_WAIT_S:
            time.sleep(0.25)
        self.at_most("all started after s", time.monotonic() - over_at, within_s)

    def _recover(self, backlog: Backlog, level: float, over_at: float, within_s: float, *, is_judged: bool) -> None:
        if self.config.is_smoke:
            return
        give_up_at = over_at + within_s + EXTRA_WAIT_S
        time.sleep(STABLE_S)
        while (
            last := backlog.last_above(level, over_at)
        ) > time.monotonic() - STABLE_S and time.monotonic() < give_up_at:
            time.sleep(0.5)
        recovered_s = last - over_at
        self.recovered_s = max(self.recovered_s or 0.0, recovered_s)
        if is_judged:
            self.at_most("recovered after s", recovered_s, within_s)
        self.require(backlog.is_known_since(over_at), "the database was unavailable after the fault")

    def _count_completed(self, load: LoadGenerator, limit: float) -> None:
        """Check the share of completed tasks, without the latest ones, which had no time to finish."""
        until = time.monotonic() - 2.5
        submissions = [submission for submission in list(load.submissions) if submission.due_at <= until]
        ids = [task_id for submission in submissions for task_id in submission.ids]
        finished = "SELECT count(*) FROM task WHERE id = ANY(%s) AND status IN ('succeeded', 'failed', 'cancelled')"
        self.at_least("completed", self.system.scalar(finished, ids) / max(1, count_tasks(submissions)), limit)

    def _note_responses(self, load: LoadGenerator) -> None:
        responses = {str(response): count for response, count in load.responses().items() if response != 201}
        if responses:
            self.figures["responses other than 201"] = ", ".join(
                f"{response}: {count}" for response, count in responses.items()
            )
            self.figures["slowest response s"] = round(load.slowest_s(), 2)
        for bad in ("500", "timeout"):
            self.require(bad not in responses, f"{responses.get(bad)} submissions got {bad}")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed; 0 when there are none."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else 0.0
