"""PostgreSQL: the models, and functions that return SQLAlchemy statements.

The same statement runs on a sync engine (workers) and an async one (API, coordinator): there are no twins.
Nothing here commits; a transaction is opened and ended at the edge.
"""
