"""Printing to standard output: tables, JSON and YAML."""
