"""The journal of actual runs, which the plugins themselves write (see `faults/plugins/fault_journal.py`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

DIRECTORY_VARIABLE = "FAULTS_JOURNAL"


@dataclass(slots=True)
class Run:
    """One run of a plugin. `seen_at`: its last entry. A killed run has no end entry."""

    task_id: int
    attempt: int
    pid: int
    began_at: float
    seen_at: float
    has_ended: bool = False


class Journal:
    """A directory with one file per process. Times are from `time.monotonic()`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def runs(self) -> dict[int, list[Run]]:
        """Return the runs of each task so far, in order of their start."""
        found: dict[int, list[Run]] = defaultdict(list)
        for file in self.directory.iterdir():
            for run in _read(file):
                found[run.task_id].append(run)
        for runs in found.values():
            runs.sort(key=lambda run: run.began_at)
        return found

    def runs_in(self, pids: Iterable[int]) -> list[Run]:
        """Return the runs in these processes."""
        return [run for pid in pids if (file := self.directory / str(pid)).exists() for run in _read(file)]

    def overlaps(self) -> list[tuple[Run, Run]]:
        """Return pairs of runs of one task that certainly overlapped."""
        pairs = (pair for runs in self.runs().values() for pair in pairwise(runs))
        return [(one, next_) for one, next_ in pairs if next_.began_at < one.seen_at]


def _read(file: Path) -> Iterator[Run]:
    open_runs: dict[tuple[int, int], Run] = {}
    for line in file.read_text().splitlines():
        task_id, attempt, what, at = line.split()
        key = int(task_id), int(attempt)
        if what == "begin":
            if (earlier := open_runs.pop(key, None)) is not None:
                yield earlier
            open_runs[key] = Run(*key, int(file.name), float(at), float(at))
        elif (run := open_runs.get(key)) is not None:
            run.seen_at = float(at)
            run.has_ended = what == "end"
    yield from open_runs.values()
