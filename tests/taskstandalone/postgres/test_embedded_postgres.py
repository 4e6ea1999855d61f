"""The embedded PostgreSQL: its data, its settings, its socket and its errors."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from harness.postgres import PostgresServer, postgres_processes
from taskstandalone.postgres.data_dir_lock import DataDirInUse
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
from taskstandalone.postgres.paths import SOCKET_NAME, PostgresFailed
from tests.taskstandalone.postgres.owners import has_data, write_data


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        yield listener


def test_data_survives_a_restart(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        write_data(postgres.url)

    with EmbeddedPostgres(data_dir) as postgres:
        assert has_data(postgres.url)


def test_a_stop_leaves_neither_processes_nor_a_socket(data_dir: Path) -> None:
    postgres = EmbeddedPostgres(data_dir)
    postgres.start()
    sockets = postgres.socket_dir

    postgres.stop()

    assert postgres_processes(data_dir) == []
    assert not sockets.exists()


def test_it_listens_only_on_a_private_socket(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres, psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchall() == [("",)]
        assert postgres.socket_dir.stat().st_mode & 0o777 == 0o700


def test_additional_settings_reach_the_server(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, {"fsync": "off"}) as postgres, psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW fsync").fetchall() == [("off",)]


def test_libpq_variables_of_the_environment_are_ignored(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")

    with EmbeddedPostgres(data_dir) as postgres:
        write_data(postgres.url)


def test_a_data_directory_below_private_directories_works(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)

    with EmbeddedPostgres(data_dir / "inner") as postgres:
        write_data(postgres.url)


def test_a_data_directory_with_a_very_long_path_works(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir / ("long" * 30)) as postgres:
        write_data(postgres.url)


def test_a_long_temporary_directory_is_not_used_for_the_socket(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))

    with EmbeddedPostgres(data_dir) as postgres:
        write_data(postgres.url)


def test_an_interrupted_creation_starts_over(data_dir: Path) -> None:
    incomplete = data_dir / "cluster.new"
    incomplete.mkdir(parents=True)
    (incomplete / "PG_VERSION").write_text("18\n")

    with EmbeddedPostgres(data_dir) as postgres:
        write_data(postgres.url)


def test_a_refused_second_owner_does_not_affect_the_first(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        second = EmbeddedPostgres(data_dir)

        with pytest.raises(DataDirInUse):
            second.start()
        second.stop()

        write_data(postgres.url)


def test_a_failed_start_shows_the_log(data_dir: Path) -> None:
    with pytest.raises(PostgresFailed, match="no_such_setting"):
        EmbeddedPostgres(data_dir, {"no_such_setting": "1"}).start()

    with EmbeddedPostgres(data_dir) as postgres:
        write_data(postgres.url)


def test_another_user_who_took_the_socket_directory_does_not_block_the_start(data_dir: Path) -> None:
    usual = EmbeddedPostgres(data_dir).socket_dir
    elsewhere = data_dir.parent / "elsewhere"
    elsewhere.mkdir()
    usual.symlink_to(elsewhere)

    try:
        with listening(usual / SOCKET_NAME) as false_server, EmbeddedPostgres(data_dir) as postgres:
            write_data(postgres.url)
            assert postgres.socket_dir != usual
            assert postgres.socket_dir.stat().st_mode & 0o777 == 0o700
            with pytest.raises(BlockingIOError):  # no client has connected to it, not even before the server was ready
                false_server.accept()
    finally:
        usual.unlink()

    assert [file.name for file in elsewhere.iterdir()] == [SOCKET_NAME]


def test_data_of_another_version_is_refused_with_what_to_do(data_dir: Path) -> None:
    (data_dir / "cluster").mkdir(parents=True)
    (data_dir / "cluster" / "PG_VERSION").write_text("18\n")

    with pytest.raises(PostgresFailed, match=f"created by another version of Taskcore.* Move {data_dir} away"):
        EmbeddedPostgres(data_dir).start()


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_text("")

    with pytest.raises(PostgresFailed, match=f"^{file}: File exists$"):
        EmbeddedPostgres(file).start()


def test_a_long_log_is_rotated_at_start(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "postgres.log").write_bytes(b"x" * (11 * 1024 * 1024))

    with EmbeddedPostgres(data_dir):
        pass

    assert (data_dir / "postgres.log").stat().st_size < 1024 * 1024


def test_a_crashed_server_recovers(private_postgres: PostgresServer) -> None:
    write_data(private_postgres.url)

    private_postgres.kill()
    private_postgres.start()

    assert has_data(private_postgres.url)
