"""Analytics over HTTP: the metrics and their samples."""
