"""Taskcore: tasks that are kept in PostgreSQL, carried by RabbitMQ and run by plugins."""
