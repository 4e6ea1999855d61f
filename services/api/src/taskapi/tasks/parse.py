"""Parse the body of a submission, and check its tasks against their types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, TypeVar

import msgspec

from taskapi.http.field_errors import Path, field_error
from taskapi.http.problems import MAX_ERRORS, ProblemError, merge_problems, raise_if_any, too_large
from taskapi.http.request_body import decode
from taskapi.runtime.type_cache import KnownType
from taskapi.schemas.batches import BatchTask
from taskapi.schemas.problems import FieldError
from taskapi.tasks.batch_item import BatchItem
from taskcore.domain.tasks import MAX_BATCH_TASKS, MAX_TASK_BYTES
from taskcore.submission.spec import TaskSpec, TaskSubmission, storage_errors

MAX_ERRORS_PER_TASK = 20
#: JSON values of all tasks of a batch.
MAX_BATCH_VALUES = 1_000_000

T = TypeVar("T", bound=TaskSpec)


class _RawBatch(msgspec.Struct, forbid_unknown_fields=True):
    """`BatchSubmission` with undecoded tasks, so that each can be measured and rejected by itself."""

    tasks: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MAX_BATCH_TASKS)]
    atomic: bool = True


_TASK = msgspec.json.Decoder(TaskSubmission)
_BATCH_TASK = msgspec.json.Decoder(BatchTask)
_BATCH = msgspec.json.Decoder(_RawBatch)


@dataclass(frozen=True, slots=True)
class Batch:
    """`is_atomic`: either all of its tasks are stored or none."""

    items: Sequence[BatchItem]
    is_atomic: bool

    @property
    def valid(self) -> list[BatchItem]:
        return [item for item in self.items if item.problem is None]

    def check(self) -> None:
        """Raise `ProblemError` when the batch is refused: all of its tasks are rejected, or one of an atomic batch."""
        problems = [item.problem for item in self.items if item.problem is not None]
        if problems and (self.is_atomic or len(problems) == len(self.items)):
            raise ProblemError(merge_problems(problems))


def parse_task(body: bytes) -> BatchItem:
    """Return the task. Raise `ProblemError` when it is not valid."""
    item = BatchItem()
    item.spec = _decode(body, _TASK)
    return item


def parse_batch(body: bytes) -> Batch:
    """Return the batch, with a problem for each invalid task. Raise `ProblemError` when the batch is not valid."""
    raw = decode(body, _BATCH, max_values=MAX_BATCH_VALUES)
    return Batch([_parse_item(index, task) for index, task in enumerate(raw.tasks)], raw.atomic)


def check_types(items: Sequence[BatchItem], types: Mapping[str, KnownType]) -> None:
    """Reject the items whose type or parameters are not valid."""
    remaining = MAX_ERRORS
    for item in items:
        if errors := list(islice(type_errors(item.spec, types, item.path), max(remaining, 1))):
            remaining -= len(errors)
            item.reject(errors)


def type_errors(spec: TaskSpec, types: Mapping[str, KnownType], prefix: Path = ()) -> Iterator[FieldError]:
    """Return what is wrong with the type and the parameters of `spec`, whose path in the body is `prefix`."""
    known = types.get(spec.type)
    if known is None:
        yield field_error((*prefix, "type"), f"unknown task type {spec.type!r}: no worker has registered it")
        return
    for error in islice(known.parameter_errors(spec.parameters), MAX_ERRORS_PER_TASK):
        yield field_error((*prefix, "parameters", *error.instance_path), error.message)


def _parse_item(index: int, raw: msgspec.Raw) -> BatchItem:
    item = BatchItem(index, ("tasks", index))
    if memoryview(raw).nbytes > MAX_TASK_BYTES:
        item.problem = too_large(f"tasks[{index}]", MAX_TASK_BYTES)
        return item
    try:
        item.spec = spec = _decode(raw, _BATCH_TASK, item.path)
        item.ref = spec.ref
    except ProblemError as exc:
        item.problem = exc.problem
    return item


def _decode(raw: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], prefix: Path = ()) -> T:
    spec = decode(raw, decoder, prefix)
    raise_if_any(field_error((*prefix, *path), message) for path, message in storage_errors(spec))
    return spec
