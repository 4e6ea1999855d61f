"""Statements for analytics samples: storing and querying them."""
