"""The collector of usage analytics: a worker on a queue of its own."""
