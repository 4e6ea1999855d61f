"""Problems that a handler raises. `taskapi.middleware.errors` maps all other exceptions to problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from taskapi.schemas.problems import FieldError, Problem, ProblemCode

MAX_ERRORS = 100


class ProblemError(Exception):
    """The request fails with `problem`, which is sent to the client."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.headers = dict(headers or {})


def invalid(errors: Sequence[FieldError]) -> Problem:
    return Problem("The request is not valid", 422, ProblemCode.INVALID, errors=list(errors[:MAX_ERRORS]))


def raise_if_any(errors: Iterable[FieldError]) -> None:
    """Raise `ProblemError` if there are `errors`."""
    if found := list(errors):
        raise ProblemError(invalid(found))


def invalid_field(field: str, message: str) -> ProblemError:
    return ProblemError(invalid([FieldError(field, message)]))


def merge_problems(problems: Sequence[Problem]) -> Problem:
    """Return the first problem with the errors of all of them."""
    errors = [error for problem in problems for error in problem.errors]
    return msgspec.structs.replace(problems[0], errors=errors[:MAX_ERRORS])


def malformed(error: FieldError) -> Problem:
    return Problem("The body is not JSON", 400, ProblemCode.MALFORMED_JSON, errors=[error])


def too_large(field: str, limit: int) -> Problem:
    error = FieldError(field, f"is larger than {limit // 1024} KiB of JSON")
    return Problem("Too large", 413, ProblemCode.TOO_LARGE, errors=[error])


def not_found(code: ProblemCode, which: int | str) -> ProblemError:
    """Return the problem of a resource that does not exist; `code` is `<kind>_not_found`."""
    kind = code.removesuffix("_not_found")
    return ProblemError(Problem(f"No such {kind}", 404, code, detail=f"There is no {kind} {which!r}."))


def body_timeout() -> ProblemError:
    """Return the problem of a body that comes too slowly."""
    return ProblemError(Problem("The body came too slowly", 408, ProblemCode.BODY_TIMEOUT))


def too_many_large_bodies() -> ProblemError:
    problem = Problem("Too many large requests are being handled", 503, ProblemCode.TOO_MANY_LARGE_BODIES)
    return ProblemError(problem, {"Retry-After": "2"})


def too_many_waiting() -> ProblemError:
    """Return the problem of a call that would wait, while as many wait as may."""
    problem = Problem("Too many requests are waiting for tasks", 503, ProblemCode.TOO_MANY_WAITING)
    return ProblemError(problem, {"Retry-After": "2"})


def concurrent_update() -> ProblemError:
    """Return the problem of a call that concurrent requests disturbed several times; a retry should succeed."""
    problem = Problem("Other requests are changing the same tasks", 503, ProblemCode.CONCURRENT_UPDATE)
    return ProblemError(problem, {"Retry-After": "1"})
