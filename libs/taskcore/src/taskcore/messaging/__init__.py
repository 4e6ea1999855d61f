"""The only package that knows Dramatiq and pika: brokers, the claiming consumer, the actor, the publisher."""
