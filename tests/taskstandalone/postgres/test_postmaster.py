"""Reading `postmaster.pid`."""

from __future__ import annotations

from pathlib import Path

from taskstandalone.postgres.postmaster import PidFile


def test_a_complete_file_has_pid_socket_directory_and_status(tmp_path: Path) -> None:
    lines = ["17", str(tmp_path), "1700000000", "5432", "/run/sockets", "", "  5432001  0", "ready   "]
    (tmp_path / "postmaster.pid").write_text("\n".join(lines) + "\n")

    assert PidFile.read(tmp_path) == PidFile(17, Path("/run/sockets"), "ready")


def test_an_incomplete_or_missing_file_has_empty_fields(tmp_path: Path) -> None:
    assert PidFile.read(tmp_path) == PidFile(None, None, "")

    (tmp_path / "postmaster.pid").write_text("17\n")

    assert PidFile.read(tmp_path) == PidFile(17, None, "")
