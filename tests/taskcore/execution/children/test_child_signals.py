"""Processes that plugins start from a thread end on signals, and their signals are not those of the worker."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("host", ["executor", "standalone"])
@pytest.mark.parametrize(
    ("child", "answer"), [("terminate_program", "[-15, -2]"), ("terminate_fork", "-15"), ("use_pool", "[1, 2]")]
)
def test_signals_reach_the_children_of_a_thread_and_nobody_else(host: str, child: str, answer: str) -> None:
    program = [sys.executable, "-m", "tests.taskcore.execution.children.stopping_children", host, child]

    ended = subprocess.run(program, capture_output=True, text=True, timeout=60)

    assert (ended.stdout.strip(), ended.returncode) == (answer, 0), ended.stderr
