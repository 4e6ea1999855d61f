"""The real parts that tests run against: PostgreSQL, RabbitMQ, our programs, a mail and an HTTP server."""
