"""The standalone's PostgreSQL: what it must survive, with real servers and real kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from harness.postgres import PostgresServer, postgres_processes
from taskstandalone.postgres.account import Account, UnusableDirectory
from taskstandalone.postgres.data_dir_lock import DataDirInUse
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
from taskstandalone.postgres.paths import PostgresFailed

OWNER = """
import sys, pathlib, signal
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
postgres.start()
print("pid", postgres.pid, flush=True)
signal.pause()
"""


def test_the_same_data_is_there_after_a_restart(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        write(postgres.url)

    with EmbeddedPostgres(data_dir) as postgres:
        assert written(postgres.url)


def test_a_stop_leaves_no_process_and_no_socket_behind(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir)
    postgres.start()
    sockets = postgres.socket_dir

    postgres.stop()

    assert postgres_processes(data_dir) == []
    assert not sockets.exists()


def test_it_listens_on_a_private_socket_only(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres, psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchall() == [("",)]
        assert postgres.socket_dir.stat().st_mode & 0o777 == 0o700


def test_extra_settings_reach_the_server(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, {"fsync": "off"}) as postgres, psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW fsync").fetchall() == [("off",)]


def test_settings_for_other_postgres_clients_are_not_taken_over(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")

    with EmbeddedPostgres(data_dir) as postgres:
        write(postgres.url)


def test_a_data_directory_below_private_directories_works(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)

    with EmbeddedPostgres(data_dir / "below") as postgres:
        write(postgres.url)


def test_a_data_directory_with_a_very_long_path_works(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir / ("long" * 30)) as postgres:
        write(postgres.url)


def test_a_long_temporary_directory_is_not_used_for_the_socket(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    with EmbeddedPostgres(data_dir) as postgres:
        write(postgres.url)


def test_the_server_of_a_killed_owner_is_adopted(data_dir: Path) -> None:
    with owner_of(data_dir) as (owner, server):
        owner.kill()
        owner.wait()

        with EmbeddedPostgres(data_dir) as postgres:
            write(postgres.url)
            assert postgres.pid == server

    assert not psutil.pid_exists(server) or psutil.Process(server).status() == psutil.STATUS_ZOMBIE


def test_an_adopted_server_that_is_stopping_is_replaced(data_dir: Path) -> None:
    with owner_of(data_dir) as (owner, server):
        owner.kill()
        owner.wait()
        os.kill(server, signal.SIGINT)

        with EmbeddedPostgres(data_dir) as postgres:
            write(postgres.url)
            assert postgres.pid != server


def test_an_adopted_server_whose_socket_was_removed_is_replaced(data_dir: Path) -> None:
    with owner_of(data_dir) as (owner, server):
        owner.kill()
        owner.wait()
        for socket in EmbeddedPostgres(data_dir).socket_dir.iterdir():
            socket.unlink()

        with EmbeddedPostgres(data_dir) as postgres:
            write(postgres.url)
            assert postgres.pid != server


def test_owner_and_server_killed_together_leave_all_that_was_committed(data_dir: Path) -> None:
    with owner_of(data_dir) as (owner, _):
        write(EmbeddedPostgres(data_dir).url)
        owner.kill()
        for process in postgres_processes(data_dir):
            process.kill()
        owner.wait()

    with EmbeddedPostgres(data_dir) as postgres:
        assert written(postgres.url)


def test_a_server_whose_first_process_alone_was_killed_is_replaced(data_dir: Path) -> None:
    with owner_of(data_dir) as (owner, server):
        write(EmbeddedPostgres(data_dir).url)
        owner.kill()
        os.kill(server, signal.SIGKILL)
        owner.wait()

        with EmbeddedPostgres(data_dir) as postgres:
            assert written(postgres.url)


def test_a_stale_pid_that_another_program_has_now_does_not_stop_it(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        write(postgres.url)
        lock_file = postgres.cluster_dir / "postmaster.pid"
        recorded = lock_file.read_text().splitlines()
    with as_server_account("sleep", "600") as foreign:
        lock_file.write_text("\n".join([str(foreign.pid), *recorded[1:], ""]))

        with EmbeddedPostgres(data_dir) as postgres:
            assert written(postgres.url)

        assert foreign.poll() is None


def test_a_stale_socket_lock_does_not_stop_it(data_dir: Path) -> None:
    sockets = EmbeddedPostgres(data_dir).socket_dir
    Account.for_server().make_private_directory(sockets)
    with as_server_account("sleep", "600") as foreign:
        (sockets / ".s.PGSQL.5432").touch()
        (sockets / ".s.PGSQL.5432.lock").write_text(f"{foreign.pid}\n{data_dir}\n0\n5432\n{sockets}\n")

        with EmbeddedPostgres(data_dir) as postgres:
            write(postgres.url)


def test_an_interrupted_creation_starts_over(data_dir: Path) -> None:
    half_made = data_dir / "cluster.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(data_dir) as postgres:
        write(postgres.url)


def test_a_second_owner_is_refused_with_the_pid_of_the_first(data_dir: Path) -> None:
    with (
        owner_of(data_dir) as (owner, _),
        pytest.raises(DataDirInUse, match=rf"in use by process {owner.pid}\b"),
    ):
        EmbeddedPostgres(data_dir).start()


def test_a_refused_second_owner_leaves_the_server_of_the_first_alone(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        second = EmbeddedPostgres(data_dir)

        with pytest.raises(DataDirInUse):
            second.start()
        second.stop()

        write(postgres.url)


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    with pytest.raises(PostgresFailed, match="no_such_setting"):
        EmbeddedPostgres(data_dir, {"no_such_setting": "1"}).start()

    with EmbeddedPostgres(data_dir) as postgres:
        write(postgres.url)


def test_somebody_elses_socket_directory_is_refused(data_dir: Path, tmp_path: Path) -> None:
    sockets = EmbeddedPostgres(data_dir).socket_dir
    (tmp_path / "elsewhere").mkdir()
    sockets.symlink_to(tmp_path / "elsewhere")

    try:
        with pytest.raises(UnusableDirectory, match="it is a link"):
            EmbeddedPostgres(data_dir).start()
    finally:
        sockets.unlink()


def test_a_long_log_is_put_aside_at_the_start(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "postgres.log").write_bytes(b"x" * (11 * 1024 * 1024))

    with EmbeddedPostgres(data_dir):
        pass

    assert (data_dir / "postgres.log").stat().st_size < 1024 * 1024


def test_the_terminals_interrupt_does_not_reach_the_server(data_dir: Path) -> None:
    with owner_of(data_dir) as (owner, server):
        os.killpg(owner.pid, signal.SIGINT)
        owner.wait()

        assert psutil.Process(server).status() != psutil.STATUS_ZOMBIE
        with EmbeddedPostgres(data_dir) as postgres:
            assert postgres.pid == server


def test_a_crashed_test_server_comes_back(private_postgres: PostgresServer) -> None:
    write(private_postgres.url)

    private_postgres.kill()
    private_postgres.start()

    assert written(private_postgres.url)


@contextmanager
def owner_of(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that owns the data directory, and its server's pid."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert owner.stdout is not None
        server = next(int(line.split()[1]) for line in owner.stdout if line.startswith("pid "))
        yield owner, server
    finally:
        owner.kill()
        owner.communicate()


@contextmanager
def as_server_account(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, **Account.for_server().popen_options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def write(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def written(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]
