"""Reading requests and writing problem responses; nothing here knows tasks."""
