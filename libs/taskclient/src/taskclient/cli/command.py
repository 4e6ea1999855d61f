"""Click commands and groups with aliases, which the help shows, and the shared options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from taskclient.cli.options import shared_options
from taskclient.cli.session import Session


class Command(click.Command):
    def __init__(self, *args: Any, aliases: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.aliases = aliases
        self.params.extend(shared_options())

    def invoke(self, ctx: click.Context) -> Any:
        ctx.ensure_object(Session).configure_logging()
        return super().invoke(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        _write_aliases(self.aliases, formatter)


class Group(click.Group):
    command_class = Command

    def __init__(self, *args: Any, aliases: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.aliases = aliases

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which they were added."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        by_name = super().get_command(ctx, cmd_name)
        return by_name or next((c for c in self.commands.values() if cmd_name in _aliases(c)), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = {name: ", ".join([name, *_aliases(command)]) for name, command in self.commands.items()}
        width = formatter.width - 6 - max(map(len, names.values()), default=0)
        with formatter.section("Commands"):
            formatter.write_dl([(names[n], c.get_short_help_str(width)) for n, c in self.commands.items()])

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        _write_aliases(self.aliases, formatter)


Group.group_class = Group


def _aliases(command: click.Command) -> Sequence[str]:
    return command.aliases if isinstance(command, Command | Group) else ()


def _write_aliases(aliases: Sequence[str], formatter: click.HelpFormatter) -> None:
    if aliases:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(f"Aliases: {', '.join(aliases)}")
