"""Finds words of the old vocabulary, so that they do not come back.

`WORDS` are phrases, searched in every text file without regard to case. Identifiers are split into words first, so
`nursery_process` and `NurseryLost` contain "nursery". `NAMES` are identifiers of Python code, compared as a whole.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator

from checks.sources import Texts, python_files

#: Old word or phrase (a regular expression) → what to write instead.
WORDS = {
    r"nurser(y|ies)": "fork server",
    r"scribes?": "report writer",
    r"ears": "control listener",
    r"wishes": "directives",
    r"witness(es)?": "liveness signal",
    r"life lock": "liveness lock",
    r"deaf": "unresponsive, or stale",
    r"unheard(?! of)": "stale",
    r"astray": "lost",
    r"bur(y|ies|ied)": "reap, or delete",
    r"anew": "again",
    r"whoever": "the actor's name",
    r"unfollowed": "untraced",
    r"(is|are|was|were|be|been|being|not) followed(?! by)": "is sampled, or traced",
    r"followed (attempts?|tasks?|submits?|batch|requests?)": "sampled, or traced",
    r"comes? to nothing|came to nothing|in vain": "is unsuccessful",
    r"pass(ed|es|ing)? on (to )?dependents|passing on": "dependency resolution",
    r"so many": "up to N",
    r'(?<=""")answers': "Return …",
    r"(told|said|asked) otherwise": "[default: …]",
    r"thought better": "withdrew the request",
    r"gives? itself up": "stops",
    r"spoke nonsense": "sent an invalid message",
    r"[«»]": "code style, or quotation marks",
}

#: Old identifier → its successor.
NAMES = {
    "Holding": "SlotPool",
    "Paces": "TypeDurations",
    "Settler": "BatchCompleter",
    "WorkerServices": "DatabaseServices",
    "NoServices": "NullServices",
    "Interruption": "CancellationToken",
    "InProcessWorker": "EmbeddedWorker",
    "Verdict": "AttemptResult",
    "LeaseKeeper": "LeaseManager",
    "CAME_TO_NOTHING": "UNSUCCESSFUL",
    "HEARING_S": "RECONNECT_GRACE_S",
    "LIFE_LOCK": "LIVENESS_LOCK",
    "LocalSpans": "InMemorySpanStore",
    "BoundedExport": "BoundedSpanProcessor",
    "Executors": "ExecutorPool",
    "NoBoard": "NullAttemptTable",
    "LogFrom": "SetLogLevel",
    "AskPause": "RequestPause",
    "RequestScope": "RequestMiddleware",
    "KeptSchedule": "ScheduleReconciler",
    "Patience": "RetryPolicy",
    "BY_KEY": "KEY_LOOKUP_OPTIONS",
    "is_database_away": "is_database_unavailable",
    "give_back": "release",
    "is_instant": "is_sub_millisecond",
    "performing": "attempt_context",
    "name_attempt": "add_attempt_fields",
    "raise_in": "raise_thread_exception",
    "take_life_lock": "acquire_liveness_lock",
    "claimed_from": "to_claimed",
    "passed_on": "mark_resolved",
    "to_pass_on": "pending_parents",
    "LOOK_AHEAD": "PREFETCH_SHORT",
    "look_ahead": "prefetch_short",
    "quiet_s": "resolve_after_s",
    "flood_per_minute": "max_events_per_minute",
    "KeptSystem": "SupervisedSystem",
}

EXEMPT = ("checks/vocabulary.py", "tests/checks/", "requirements/")
_WORD_IN_NAME = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_WORDS = {re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE): better for pattern, better in WORDS.items()}
_ANY_WORD = re.compile("|".join(f"(?:{pattern})" for pattern in WORDS), re.IGNORECASE)


def problems(texts: Texts) -> Iterator[str]:
    """Yield a line for each old word or name."""
    checked = {path: text for path, text in texts.items() if not path.startswith(EXEMPT)}
    for path, text in checked.items():
        yield from _old_words(path, text)
    for path, text in python_files(checked).items():
        yield from _old_names(path, text)


def _old_words(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        words = _WORD_IN_NAME.sub(" ", line)
        if _ANY_WORD.search(words):
            for pattern, better in _WORDS.items():
                if found := pattern.search(words):
                    yield f"{path}:{number}: old vocabulary: {found[0]!r}; write {better}"


def _old_names(path: str, text: str) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.string in NAMES:
            yield f"{path}:{token.start[0]}: old name {token.string}; it is {NAMES[token.string]} now"
