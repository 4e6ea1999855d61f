"""From a body to tasks that can be stored: decoded, checked, every default of their type filled in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

import msgspec

from taskapi.bodies import decode
from taskapi.catalogue import KnownType
from taskapi.fields import Path, field_error
from taskapi.problems import MAX_ERRORS, Refused, invalid, too_large
from taskapi.schemas import BatchTask, FieldError, Problem, TaskSubmission
from taskcore.domain.documents import check_document
from taskcore.domain.tasks import MAX_BATCH_TASKS, MAX_TASK_BYTES, NewTask
from taskcore.errors import InvalidDocument

MAX_ERRORS_PER_TASK = 20
EARLIEST_RUN_AT = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_RUN_AT = datetime(9999, 12, 31, tzinfo=UTC)


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    """`BatchSubmission` with its tasks left as they came, so that each can be weighed and refused by itself."""

    tasks: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_BATCH_TASKS)]
    atomic: bool = True


Submission = TaskSubmission | BatchTask

_ONE = msgspec.json.Decoder(TaskSubmission)
_MEMBER = msgspec.json.Decoder(BatchTask)
_BATCH = msgspec.json.Decoder(_Batch)
_CANONICAL = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a request says about all of its tasks."""

    request_id: str
    idempotency_key: str | None


@dataclass(slots=True)
class Sifted:
    """A batch by what becomes of its tasks: each index is either among `good` or among `problems`."""

    is_atomic: bool
    good: dict[int, BatchTask] = field(default_factory=dict)
    problems: dict[int, Problem] = field(default_factory=dict)

    def refuse(self, index: int, problem: Problem) -> None:
        self.good.pop(index, None)
        self.problems[index] = problem


def decode_one(body: bytes) -> TaskSubmission:
    """Raises `Refused`."""
    submission = decode(body, _ONE)
    if errors := list(_storage_errors(submission, ())):
        raise Refused(invalid(errors))
    return submission


def decode_batch(body: bytes) -> Sifted:
    """Raises `Refused` for what is wrong with the batch as a whole."""
    batch = decode(body, _BATCH)
    sifted = Sifted(batch.atomic)
    for index, raw in enumerate(batch.tasks):
        try:
            sifted.good[index] = _decode_member(raw, ("tasks", index))
        except Refused as exc:
            sifted.refuse(index, exc.problem)
    return sifted


def check_types(sifted: Sifted, types: Mapping[str, KnownType]) -> None:
    """Refuse the tasks whose type or parameters are not valid."""
    room = MAX_ERRORS
    for index, submission in list(sifted.good.items()):
        if errors := list(islice(type_errors(submission, types, ("tasks", index)), max(room, 1))):
            room -= len(errors)
            sifted.refuse(index, invalid(errors))


def type_errors(submission: Submission, types: Mapping[str, KnownType], prefix: Path = ()) -> Iterator[FieldError]:
    """What its type has against it."""
    known = types.get(submission.type)
    if known is None:
        yield field_error((*prefix, "type"), f"no worker has ever brought a type named {submission.type!r}")
        return
    for error in islice(known.errors(submission.parameters), MAX_ERRORS_PER_TASK):
        yield field_error((*prefix, "parameters", *error.instance_path), error.message)


def new_task(submission: Submission, known: KnownType, origin: Origin) -> NewTask:
    """The task to store."""
    return NewTask(
        name=submission.name,
        type=submission.type,
        queue=submission.queue or known.queue,
        parameters=submission.parameters,
        max_attempts=submission.max_attempts or known.max_attempts,
        timeout_s=submission.timeout or known.timeout_s,
        delete_after_s=submission.delete_after,
        priority=submission.priority,
        description=submission.description,
        labels=submission.labels,
        run_at=submission.run_at,
        idempotency_key=origin.idempotency_key,
        fingerprint=None if origin.idempotency_key is None else _fingerprint(submission),
        request_id=origin.request_id,
    )


def _fingerprint(submission: Submission) -> str:
    """Of what it asks for: the order of members, white space and defaults that are spelled out do not count.

    Nor do members that a later version adds, as long as they are left out.
    """
    return hashlib.sha256(_CANONICAL.encode(submission)).hexdigest()


def _decode_member(raw: msgspec.Raw, prefix: Path) -> BatchTask:
    if memoryview(raw).nbytes > MAX_TASK_BYTES:
        raise Refused(too_large(f"{prefix[0]}[{prefix[1]}]", MAX_TASK_BYTES))
    submission = decode(raw, _MEMBER, prefix)
    if errors := list(_storage_errors(submission, prefix)):
        raise Refused(invalid(errors))
    return submission


def _storage_errors(submission: Submission, prefix: Path) -> Iterator[FieldError]:
    """What JSON can say and PostgreSQL cannot keep; at most one error a field."""
    try:
        check_document(submission.parameters, ("parameters",))
    except InvalidDocument as exc:
        yield field_error((*prefix, *exc.path), exc.message)
    for name, text in (("name", submission.name), ("description", submission.description or "")):
        if "\0" in text:
            yield field_error((*prefix, name), "contains a NUL character")
    for name, text in (("type", submission.type), ("queue", submission.queue or "")):
        if text.endswith("\n"):  # which Python's `$` lets pass
            yield field_error((*prefix, name), "ends in a line break")
    for key, value in submission.labels.items():
        if "\0" in key or "\0" in value:
            yield field_error((*prefix, "labels", key), "contains a NUL character")
    if submission.run_at is not None and not EARLIEST_RUN_AT <= submission.run_at <= LATEST_RUN_AT:
        yield field_error((*prefix, "run_at"), "must lie between the years 1970 and 9999")
