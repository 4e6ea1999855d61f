"""Fixtures for the tests of the coordinator."""

from __future__ import annotations

from tests.taskcore.submission.conftest import engine, scheduler

__all__ = ["engine", "scheduler"]
