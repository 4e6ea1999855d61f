"""The cancellation token: it interrupts once, frees waits, and never hits code after the attempt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from taskcore.plugins.cancellation import CancellationToken
from taskcore.plugins.interrupts import InterruptCause, Interrupted


@pytest.fixture
def token() -> Iterator[CancellationToken]:
    token = CancellationToken()
    yield token
    token.disarm()


def from_another_thread(action: Callable[[], object]) -> None:
    thread = threading.Thread(target=action)
    thread.start()
    thread.join()


def compute(token: CancellationToken) -> None:
    token.arm()
    while True:
        pass


def wait_in_c(token: CancellationToken, lock: threading.Lock) -> None:
    token.arm()
    with token.on_interrupt(lock.release):
        lock.acquire()
        token.wait(600)


def test_exception_interrupts_code_that_only_computes(token: CancellationToken) -> None:
    threading.Timer(0.05, token.interrupt, [InterruptCause.TIMEOUT]).start()

    with pytest.raises(Interrupted) as caught:
        compute(token)

    assert caught.value.cause is InterruptCause.TIMEOUT


def test_wait_is_interrupted_at_once(token: CancellationToken) -> None:
    threading.Timer(0.05, token.interrupt, [InterruptCause.CANCEL]).start()

    with pytest.raises(Interrupted):
        token.wait(600)


def test_wait_ends_without_an_interrupt(token: CancellationToken) -> None:
    token.wait(0.01)

    assert token.cause is None


def test_first_cause_wins(token: CancellationToken) -> None:
    assert token.interrupt(InterruptCause.CANCEL)
    assert not token.interrupt(InterruptCause.SHUTDOWN)

    assert token.cause is InterruptCause.CANCEL


def test_arm_raises_after_an_earlier_interrupt(token: CancellationToken) -> None:
    token.interrupt(InterruptCause.CANCEL)

    with pytest.raises(Interrupted):
        token.arm()


def test_disarmed_token_cannot_be_interrupted(token: CancellationToken) -> None:
    token.arm()
    token.disarm()

    assert not token.interrupt(InterruptCause.CANCEL)
    assert token.cause is None


def test_callback_frees_a_wait_in_c(token: CancellationToken) -> None:
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.05, token.interrupt, [InterruptCause.CANCEL]).start()

    with pytest.raises(Interrupted):
        wait_in_c(token, lock)


def test_callback_is_called_at_once_after_an_earlier_interrupt(token: CancellationToken) -> None:
    called: list[int] = []
    token.interrupt(InterruptCause.CANCEL)

    with token.on_interrupt(lambda: called.append(threading.get_ident())):
        assert called == [threading.get_ident()]


def test_raising_callback_does_not_stop_other_callbacks(token: CancellationToken) -> None:
    called = threading.Event()

    with token.on_interrupt(called.set), token.on_interrupt(lambda: 1 / 0):
        token.interrupt(InterruptCause.CANCEL)

        assert called.wait(60)


def test_context_waits_for_its_running_callback(token: CancellationToken) -> None:
    started, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def callback() -> None:
        started.set()
        may_end.wait(60)
        ended.set()

    with token.on_interrupt(callback):
        token.interrupt(InterruptCause.CANCEL)
        started.wait(60)
        threading.Timer(0.05, may_end.set).start()

    assert ended.is_set()


def test_callback_is_not_called_after_its_context(token: CancellationToken) -> None:
    called: list[bool] = []
    with token.on_interrupt(lambda: called.append(True)):
        pass

    from_another_thread(lambda: token.interrupt(InterruptCause.CANCEL))

    assert called == []


def test_early_pause_request_reaches_a_later_callback(token: CancellationToken) -> None:
    forwarded: list[bool] = []
    token.request_pause()

    token.on_pause_requested(lambda: forwarded.append(True))

    assert token.is_pause_requested
    assert forwarded == [True]


def start_threads(token: CancellationToken) -> None:
    token.arm()
    while True:
        from_another_thread(lambda: None)


def test_exception_hits_the_attempt_and_not_a_starting_thread() -> None:
    """Before Python 3.12 a starting thread has the id of the thread that starts it."""
    for number in range(200):
        token = CancellationToken()
        threading.Timer(number / 50_000, token.interrupt, [InterruptCause.CANCEL]).start()

        with pytest.raises(Interrupted):
            start_threads(token)

        token.disarm()


@pytest.mark.parametrize("callbacks", [0, 1])
def test_interrupts_at_the_end_of_attempts_leave_nothing_behind(callbacks: int) -> None:
    """A late exception would end the loop of this thread, or hit the next attempt."""
    current: list[CancellationToken] = [CancellationToken()]
    interrupted: list[CancellationToken] = []
    is_done = threading.Event()

    def interrupt_all() -> None:
        while not is_done.is_set():
            token = current[0]
            if token.interrupt(InterruptCause.CANCEL):
                interrupted.append(token)

    thread = threading.Thread(target=interrupt_all)
    thread.start()
    was_raised = 0
    for number in range(5_000):
        current[0] = token = CancellationToken()
        was_raised += attempt(token, number % 97, callbacks)
        assert (token.cause is not None) == (token.disarm() is not None)
    is_done.set()
    thread.join()

    assert all(token.cause is InterruptCause.CANCEL for token in interrupted)
    assert 0 < was_raised <= len(interrupted)


def attempt(token: CancellationToken, work: int, callbacks: int) -> bool:
    """Do what `run_plugin` does around a plugin. Return whether it was interrupted."""
    try:
        try:
            token.arm()
            with token.on_interrupt(lambda: None) if callbacks else threading.Lock():
                for _ in range(work * 20):
                    time.monotonic()
        finally:
            token.disarm()
    except Interrupted:
        token.disarm()
        return True
    return False


def test_shield_defers_the_exception_to_its_end(token: CancellationToken) -> None:
    done = []
    token.arm()

    with pytest.raises(Interrupted), token.shielded():  # noqa: PT012
        from_another_thread(lambda: token.interrupt(InterruptCause.CANCEL))
        for number in range(10_000):
            done.append(number)  # noqa: PERF402  # in Python, where an exception can interrupt it

    assert len(done) == 10_000


def test_cleanup_after_the_exception_can_be_shielded(token: CancellationToken) -> None:
    threading.Timer(0.05, token.interrupt, [InterruptCause.TIMEOUT]).start()
    with pytest.raises(Interrupted):
        compute(token)

    with token.shielded():
        cleaned_up = True

    assert cleaned_up


def test_interrupt_after_a_shield_is_raised(token: CancellationToken) -> None:
    token.arm()
    with token.shielded(), token.shielded():
        pass

    threading.Timer(0.05, token.interrupt, [InterruptCause.CANCEL]).start()

    with pytest.raises(Interrupted):
        compute(token)


def test_shield_of_another_thread_has_no_effect(token: CancellationToken) -> None:
    token.arm()
    entered, leave = threading.Event(), threading.Event()

    def hold_shield() -> None:
        with token.shielded():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=hold_shield)
    thread.start()
    entered.wait(60)

    with pytest.raises(Interrupted):  # noqa: PT012
        from_another_thread(lambda: token.interrupt(InterruptCause.CANCEL))
        token.wait(60)
    leave.set()
    thread.join()
