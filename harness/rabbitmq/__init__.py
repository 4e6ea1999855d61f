"""A RabbitMQ broker for tests, by package or in a container."""
