"""The supervisor of `taskworker run` and the executor processes it watches."""
