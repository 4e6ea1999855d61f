"""When a worker may be declared dead."""

#: How many seconds workers have to reconnect after a restart of PostgreSQL or RabbitMQ.
RECONNECT_GRACE_S = 10
