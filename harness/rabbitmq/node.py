"""A private node of the installed RabbitMQ: its own directory, ports, cookie and epmd, on loopback only."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from itertools import count
from pathlib import Path

import psutil

from harness.ports import free_port
from harness.rabbitmq.management import ManagementApi
from harness.reaper import Reaper
from harness.waiting import eventually

DEBIAN_BIN = Path("/usr/lib/rabbitmq/bin")  # the wrappers in /usr/sbin only manage the system's node
NODE_NUMBERS = count(1)


def find_rabbitmq_bin() -> Path | None:
    """Return the directory of `rabbitmq-server` and `rabbitmqctl`, or None when they are not installed."""
    if DEBIAN_BIN.is_dir():
        return DEBIAN_BIN
    found = shutil.which("rabbitmq-server", path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin")
    return Path(found).parent if found else None


class RabbitMQNode:
    def __init__(self, programs: Path, directory: Path, reaper: Reaper, erlang_arguments: str = "") -> None:
        self._programs = programs
        self._directory = directory
        self._reaper = reaper
        self._port, self._management_port = free_port(), free_port()
        self._environment = self._write_configuration(erlang_arguments)
        self._epmd: psutil.Popen | None = None
        self._server: psutil.Popen | None = None
        self.management = ManagementApi(self.amqp_url, f"http://127.0.0.1:{self._management_port}")

    @property
    def amqp_url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}/%2F"

    def start(self) -> None:
        if self._epmd is None:
            self._epmd = self._launch("epmd", "-address", "127.0.0.1")  # started here, so that no daemon is left behind
        self._server = self._launch(str(self._programs / "rabbitmq-server"))
        eventually(self._has_started, 300)

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait(120)
            self._end(self._server)
            self._server = None

    def kill(self) -> None:
        """Send SIGKILL to the node and its epmd. `start` starts both again."""
        for process in filter(None, [self._server, self._epmd]):
            self._end(process)
        self._server = self._epmd = None

    def rabbitmqctl(self, *arguments: str) -> str:
        command = [str(self._programs / "rabbitmqctl"), "--quiet", *arguments]
        done = subprocess.run(
            command, env=self._environment, cwd=self._directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def _write_configuration(self, erlang_arguments: str) -> dict[str, str]:
        directory = self._directory
        cookie = directory / ".erlang.cookie"
        cookie.write_text(os.urandom(16).hex())
        cookie.chmod(0o400)
        (directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (directory / "empty").touch()
        (directory / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self._port}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self._management_port}\n"
        )
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        return inherited | {
            "HOME": str(directory),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"taskcore-{os.getpid()}-{next(NODE_NUMBERS)}@localhost",
            "RABBITMQ_CONF_ENV_FILE": str(directory / "empty"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            # Idle schedulers do not busy-wait: the broker shares the cores with the code under test.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                f"-kernel inet_dist_use_interface {{127,0,0,1}} +sbwt none {erlang_arguments}"
            ),
        }

    def _launch(self, *command: str) -> psutil.Popen:
        with (self._directory / "output.log").open("ab") as output:
            process = psutil.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                cwd=self._directory,
                start_new_session=True,
            )
        self._reaper.watch_group(process.pid)
        return process

    def _end(self, process: psutil.Popen) -> None:
        children = process.children(recursive=True) if process.is_running() else []
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        with suppress(psutil.TimeoutExpired):
            process.wait(5 if children else 0)  # the script notices the end of its node and reaps it
        with suppress(psutil.NoSuchProcess):
            process.kill()
        process.wait()
        self._reaper.forget_group(process.pid)

    def _has_started(self) -> bool:
        assert self._server is not None
        if self._server.poll() is not None:
            raise RuntimeError(f"rabbitmq-server ended:\n{(self._directory / 'output.log').read_text()[-4000:]}")
        return self.management.is_available
