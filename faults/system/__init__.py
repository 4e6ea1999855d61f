"""The system under test: servers, processes, and restarts."""
