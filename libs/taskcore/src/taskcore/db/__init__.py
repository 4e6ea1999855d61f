"""PostgreSQL: the models, and functions that return SQLAlchemy statements.

The same statement runs on a sync engine (workers) and on an async one (API, coordinator). Nothing here commits: the
caller opens and ends the transaction.
"""
