"""Analytics over HTTP: the metrics that there are, and their samples."""
