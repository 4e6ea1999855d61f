"""The stop signal: it comes once, reaches whoever waits, and never hits what runs behind the attempt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from taskcore.plugins.cancellation import CancellationToken
from taskcore.plugins.interrupts import InterruptCause, Interrupted


@pytest.fixture
def interruption() -> Iterator[CancellationToken]:
    interruption = CancellationToken()
    yield interruption
    interruption.disarm()


def from_another_thread(action: Callable[[], object]) -> None:
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


def compute(interruption: CancellationToken) -> None:
    interruption.arm()
    while True:
        pass


def wait_in_c(interruption: CancellationToken, lock: threading.Lock) -> None:
    interruption.arm()
    with interruption.on_interrupt(lock.release):
        lock.acquire()
        interruption.wait(600)


def test_code_that_only_computes_is_interrupted(interruption: CancellationToken) -> None:
    threading.Timer(0.05, interruption.interrupt, [InterruptCause.TIMEOUT]).start()

    with pytest.raises(Interrupted) as caught:
        compute(interruption)

    assert caught.value.cause is InterruptCause.TIMEOUT


def test_whoever_waits_is_interrupted_at_once(interruption: CancellationToken) -> None:
    threading.Timer(0.05, interruption.interrupt, [InterruptCause.CANCEL]).start()

    with pytest.raises(Interrupted):
        interruption.wait(600)


def test_a_wait_that_nobody_interrupts_ends(interruption: CancellationToken) -> None:
    interruption.wait(0.01)

    assert interruption.cause is None


def test_the_first_cause_counts(interruption: CancellationToken) -> None:
    assert interruption.interrupt(InterruptCause.CANCEL)
    assert not interruption.interrupt(InterruptCause.SHUTDOWN)

    assert interruption.cause is InterruptCause.CANCEL


def test_an_attempt_that_was_told_before_it_began_does_not_begin(interruption: CancellationToken) -> None:
    interruption.interrupt(InterruptCause.CANCEL)

    with pytest.raises(Interrupted):
        interruption.arm()


def test_an_attempt_that_is_over_is_not_interrupted(interruption: CancellationToken) -> None:
    interruption.arm()
    interruption.disarm()

    assert not interruption.interrupt(InterruptCause.CANCEL)
    assert interruption.cause is None


def test_what_waits_in_c_is_freed_by_its_callback(interruption: CancellationToken) -> None:
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.05, interruption.interrupt, [InterruptCause.CANCEL]).start()

    with pytest.raises(Interrupted):
        wait_in_c(interruption, lock)


def test_a_callback_comes_at_once_where_the_attempt_was_told_before(interruption: CancellationToken) -> None:
    called: list[int] = []
    interruption.interrupt(InterruptCause.CANCEL)

    with interruption.on_interrupt(lambda: called.append(threading.get_ident())):
        assert called == [threading.get_ident()]


def test_a_callback_that_raises_keeps_none_from_being_told(interruption: CancellationToken) -> None:
    called = threading.Event()

    with interruption.on_interrupt(called.set), interruption.on_interrupt(lambda: 1 / 0):
        interruption.interrupt(InterruptCause.CANCEL)

        assert called.wait(60)


def test_a_context_is_not_left_while_its_callback_runs(interruption: CancellationToken) -> None:
    began, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def callback() -> None:
        began.set()
        may_end.wait(60)
        ended.set()

    with interruption.on_interrupt(callback):
        interruption.interrupt(InterruptCause.CANCEL)
        began.wait(60)
        threading.Timer(0.05, may_end.set).start()

    assert ended.is_set()


def test_a_callback_whose_context_was_left_is_not_called(interruption: CancellationToken) -> None:
    called: list[bool] = []
    with interruption.on_interrupt(lambda: called.append(True)):
        pass

    from_another_thread(lambda: interruption.interrupt(InterruptCause.CANCEL))

    assert called == []


def test_a_pause_is_forwarded_however_early_it_came(interruption: CancellationToken) -> None:
    forwarded: list[bool] = []
    interruption.request_pause()

    interruption.on_pause_requested(lambda: forwarded.append(True))

    assert interruption.is_pause_requested
    assert forwarded == [True]


def start_threads(interruption: CancellationToken) -> None:
    interruption.arm()
    while True:
        from_another_thread(lambda: None)


def test_an_attempt_that_starts_threads_is_hit_itself_and_not_one_of_them() -> None:
    """Until Python 3.12 a thread that starts passes for the one that starts it."""
    for number in range(200):
        interruption = CancellationToken()
        threading.Timer(number / 50_000, interruption.interrupt, [InterruptCause.CANCEL]).start()

        with pytest.raises(Interrupted):
            start_threads(interruption)

        interruption.disarm()


@pytest.mark.parametrize("callbacks", [0, 1])
def test_thousands_of_attempts_that_end_as_they_are_interrupted_leave_nothing_behind(callbacks: int) -> None:
    """An exception that came late would end this thread's loop, or the next attempt."""
    current: list[CancellationToken] = [CancellationToken()]
    told: list[CancellationToken] = []
    is_over = threading.Event()

    def interrupt_without_end() -> None:
        while not is_over.is_set():
            interruption = current[0]
            if interruption.interrupt(InterruptCause.CANCEL):
                told.append(interruption)

    thread = threading.Thread(target=interrupt_without_end)
    thread.start()
    was_raised = 0
    for number in range(5_000):
        current[0] = interruption = CancellationToken()
        was_raised += attempt(interruption, number % 97, callbacks)
        assert (interruption.cause is not None) == (interruption.disarm() is not None)
    is_over.set()
    thread.join()

    assert all(interruption.cause is InterruptCause.CANCEL for interruption in told)
    assert 0 < was_raised <= len(told)


def attempt(interruption: CancellationToken, work: int, callbacks: int) -> bool:
    """What the executor does around a plugin. Answers whether it was interrupted."""
    try:
        try:
            interruption.arm()
            with interruption.on_interrupt(lambda: None) if callbacks else threading.Lock():
                for _ in range(work * 20):
                    time.monotonic()
        finally:
            interruption.disarm()
    except Interrupted:
        interruption.disarm()
        return True
    return False


def test_behind_a_shield_nothing_is_interrupted_before_its_end(interruption: CancellationToken) -> None:
    done = []
    interruption.arm()

    with pytest.raises(Interrupted), interruption.shielded():  # noqa: PT012
        from_another_thread(lambda: interruption.interrupt(InterruptCause.CANCEL))
        for number in range(10_000):
            done.append(number)  # noqa: PERF402  # in Python, where an exception can interrupt it

    assert len(done) == 10_000


def test_what_is_cleaned_up_behind_the_exception_may_be_shielded(interruption: CancellationToken) -> None:
    threading.Timer(0.05, interruption.interrupt, [InterruptCause.TIMEOUT]).start()
    with pytest.raises(Interrupted):
        compute(interruption)

    with interruption.shielded():
        cleaned_up = True

    assert cleaned_up


def test_a_shield_left_in_peace_holds_nothing_back_afterwards(interruption: CancellationToken) -> None:
    interruption.arm()
    with interruption.shielded(), interruption.shielded():
        pass

    threading.Timer(0.05, interruption.interrupt, [InterruptCause.CANCEL]).start()

    with pytest.raises(Interrupted):
        compute(interruption)


def test_the_shield_of_another_thread_protects_nobody(interruption: CancellationToken) -> None:
    interruption.arm()
    entered, leave = threading.Event(), threading.Event()

    def hide() -> None:
        with interruption.shielded():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=hide)
    thread.start()
    entered.wait(60)

    with pytest.raises(Interrupted):  # noqa: PT012
        from_another_thread(lambda: interruption.interrupt(InterruptCause.CANCEL))
        interruption.wait(60)
    leave.set()
    thread.join()
