"""The only place that knows Dramatiq and pika: brokers, the consumer that claims, the actor, the publisher."""
