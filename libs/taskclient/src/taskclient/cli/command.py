"""Click commands and groups with aliases, which the help shows, and the shared options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from taskclient.cli.options import shared_options
from taskclient.cli.session import Session


class _WithAliases(click.Command):
    def __init__(self, *args: Any, aliases: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.aliases = aliases

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        if self.aliases:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(f"Aliases: {', '.join(self.aliases)}")


class Command(_WithAliases):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(shared_options())

    def invoke(self, ctx: click.Context) -> Any:
        ctx.ensure_object(Session).configure_logging()
        return super().invoke(ctx)


class Group(_WithAliases, click.Group):
    command_class = Command

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


Group.group_class = Group


def _aliases(command: click.Command) -> Sequence[str]:
    return command.aliases if isinstance(command, _WithAliases) else ()
