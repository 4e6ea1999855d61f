"""Parse requests and build problem responses. Nothing here knows about tasks."""
