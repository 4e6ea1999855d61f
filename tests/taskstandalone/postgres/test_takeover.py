"""What the next owner of a data directory does after kills, with real servers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from harness.postgres import postgres_processes
from taskstandalone.postgres.account import Account
from taskstandalone.postgres.data_dir_lock import DataDirInUse
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
from tests.taskstandalone.postgres.owners import has_data, program_of_server_account, running_owner, write_data


def test_the_server_of_a_killed_owner_is_adopted(data_dir: Path) -> None:
    with running_owner(data_dir) as (owner, server):
        owner.kill()
        owner.wait()

        with EmbeddedPostgres(data_dir) as postgres:
            write_data(postgres.url)
            assert postgres.pid == server

    assert not psutil.pid_exists(server) or psutil.Process(server).status() == psutil.STATUS_ZOMBIE


def test_a_server_that_is_stopping_is_replaced(data_dir: Path) -> None:
    with running_owner(data_dir) as (owner, server):
        owner.kill()
        owner.wait()
        os.kill(server, signal.SIGINT)

        with EmbeddedPostgres(data_dir) as postgres:
            write_data(postgres.url)
            assert postgres.pid != server


def test_a_server_without_its_socket_is_replaced(data_dir: Path) -> None:
    with running_owner(data_dir) as (owner, server):
        owner.kill()
        owner.wait()
        for socket in EmbeddedPostgres(data_dir).socket_dir.iterdir():
            socket.unlink()

        with EmbeddedPostgres(data_dir) as postgres:
            write_data(postgres.url)
            assert postgres.pid != server


def test_committed_data_survives_a_kill_of_owner_and_server(data_dir: Path) -> None:
    with running_owner(data_dir) as (owner, _):
        write_data(EmbeddedPostgres(data_dir).url)
        owner.kill()
        for process in postgres_processes(data_dir):
            process.kill()
        owner.wait()

    with EmbeddedPostgres(data_dir) as postgres:
        assert has_data(postgres.url)


def test_a_server_without_its_postmaster_is_replaced(data_dir: Path) -> None:
    with running_owner(data_dir) as (owner, server):
        write_data(EmbeddedPostgres(data_dir).url)
        owner.kill()
        os.kill(server, signal.SIGKILL)
        owner.wait()

        with EmbeddedPostgres(data_dir) as postgres:
            assert has_data(postgres.url)


def test_a_stale_pid_of_another_program_does_not_block_the_start(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as postgres:
        write_data(postgres.url)
        pid_file = postgres.cluster_dir / "postmaster.pid"
        recorded = pid_file.read_text().splitlines()
    with program_of_server_account(data_dir, "sleep", "600") as other_program:
        pid_file.write_text("\n".join([str(other_program.pid), *recorded[1:], ""]))

        with EmbeddedPostgres(data_dir) as postgres:
            assert has_data(postgres.url)

        assert other_program.poll() is None


def test_a_stale_socket_lock_does_not_block_the_start(data_dir: Path) -> None:
    sockets = EmbeddedPostgres(data_dir).socket_dir
    Account.for_server(data_dir / "cluster").make_private_directory(sockets)
    with program_of_server_account(data_dir, "sleep", "600") as other_program:
        (sockets / ".s.PGSQL.5432").touch()
        (sockets / ".s.PGSQL.5432.lock").write_text(f"{other_program.pid}\n{data_dir}\n0\n5432\n{sockets}\n")

        with EmbeddedPostgres(data_dir) as postgres:
            write_data(postgres.url)


def test_a_second_owner_is_refused_with_the_pid_of_the_first(data_dir: Path) -> None:
    with (
        running_owner(data_dir) as (owner, _),
        pytest.raises(DataDirInUse, match=rf"in use by process {owner.pid}\b"),
    ):
        EmbeddedPostgres(data_dir).start()


def test_an_interrupt_of_the_terminal_does_not_reach_the_server(data_dir: Path) -> None:
    with running_owner(data_dir) as (owner, server):
        os.killpg(owner.pid, signal.SIGINT)
        owner.wait()

        assert psutil.Process(server).status() != psutil.STATUS_ZOMBIE
        with EmbeddedPostgres(data_dir) as postgres:
            assert postgres.pid == server
