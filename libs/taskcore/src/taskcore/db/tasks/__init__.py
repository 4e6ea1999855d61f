"""Statements for tasks: submit, claim, settle, actions, dependencies, retention, and the history feed."""
