"""From a body to tasks that can be stored: decoded, checked, every default of their type filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated

import msgspec

from taskapi.http.field_errors import Path, field_error
from taskapi.http.problems import MAX_ERRORS, ProblemError, invalid, too_large
from taskapi.http.request_body import decode
from taskapi.runtime.type_cache import KnownType
from taskapi.schemas import BatchTask, FieldError, Problem
from taskcore.domain.tasks import MAX_BATCH_TASKS, MAX_TASK_BYTES, NewTask
from taskcore.submission import spec
from taskcore.submission.spec import TaskSubmission

MAX_ERRORS_PER_TASK = 20


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    """`BatchSubmission` with its tasks left as they came, so that each can be weighed and refused by itself."""

    tasks: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_BATCH_TASKS)]
    atomic: bool = True


Submission = TaskSubmission | BatchTask

_ONE = msgspec.json.Decoder(TaskSubmission)
_MEMBER = msgspec.json.Decoder(BatchTask)
_BATCH = msgspec.json.Decoder(_Batch)


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """What a request says about all of its tasks."""

    request_id: str
    idempotency_key: str | None


@dataclass(slots=True)
class ParsedBatch:
    """A batch by what becomes of its tasks: each index is either among `good` or among `problems`."""

    is_atomic: bool
    valid: dict[int, BatchTask] = field(default_factory=dict)
    problems: dict[int, Problem] = field(default_factory=dict)

    def reject(self, index: int, problem: Problem) -> None:
        self.valid.pop(index, None)
        self.problems[index] = problem


def parse_task(body: bytes) -> TaskSubmission:
    """Raises `Refused`."""
    submission = decode(body, _ONE)
    if errors := list(_storage_errors(submission, ())):
        raise ProblemError(invalid(errors))
    return submission


def parse_batch(body: bytes) -> ParsedBatch:
    """Raises `Refused` for what is wrong with the batch as a whole."""
    batch = decode(body, _BATCH)
    sifted = ParsedBatch(batch.atomic)
    for index, raw in enumerate(batch.tasks):
        try:
            sifted.valid[index] = _decode_member(raw, ("tasks", index))
        except ProblemError as exc:
            sifted.reject(index, exc.problem)
    return sifted


def check_types(sifted: ParsedBatch, types: Mapping[str, KnownType]) -> None:
    """Refuse the tasks whose type or parameters are not valid."""
    room = MAX_ERRORS
    for index, submission in list(sifted.valid.items()):
        if errors := list(islice(type_errors(submission, types, ("tasks", index)), max(room, 1))):
            room -= len(errors)
            sifted.reject(index, invalid(errors))


def type_errors(submission: Submission, types: Mapping[str, KnownType], prefix: Path = ()) -> Iterator[FieldError]:
    """What its type has against it."""
    known = types.get(submission.type)
    if known is None:
        yield field_error((*prefix, "type"), f"no worker has ever brought a type named {submission.type!r}")
        return
    for error in islice(known.parameter_errors(submission.parameters), MAX_ERRORS_PER_TASK):
        yield field_error((*prefix, "parameters", *error.instance_path), error.message)


def new_task(submission: Submission, known: KnownType, origin: RequestOrigin) -> NewTask:
    """The task to store."""
    return spec.new_task(submission, known, origin.request_id, origin.idempotency_key)


def _decode_member(raw: msgspec.Raw, prefix: Path) -> BatchTask:
    if memoryview(raw).nbytes > MAX_TASK_BYTES:
        raise ProblemError(too_large(f"{prefix[0]}[{prefix[1]}]", MAX_TASK_BYTES))
    submission = decode(raw, _MEMBER, prefix)
    if errors := list(_storage_errors(submission, prefix)):
        raise ProblemError(invalid(errors))
    return submission


def _storage_errors(submission: Submission, prefix: Path) -> Iterator[FieldError]:
    return (field_error((*prefix, *path), why) for path, why in spec.storage_errors(submission))
