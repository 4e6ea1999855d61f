"""The supervisor of `taskworker run`, and the executor processes that it watches."""
