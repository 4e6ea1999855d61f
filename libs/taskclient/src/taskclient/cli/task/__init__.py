"""The commands `task-cli task …`: one module per command, or per kind of command."""
