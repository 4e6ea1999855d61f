"""Runs tasks (`taskworker run`) and keeps them moving (`taskworker coordinate`)."""
