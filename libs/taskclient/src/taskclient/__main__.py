"""Entry point of `task-cli`."""

from __future__ import annotations

from taskclient.cli.program import program


def main() -> None:
    program.main(prog_name="task-cli")


if __name__ == "__main__":
    main()
