"""The traces of a task over HTTP: as JSON, and as a page."""
