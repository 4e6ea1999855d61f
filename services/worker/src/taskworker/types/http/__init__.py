"""The task type `http_request`."""
