"""All of Taskcore in one process, with a PostgreSQL of its own: nothing to install or to configure."""
