"""PostgreSQL: the models, and functions that return SQLAlchemy statements.

The docstring of such a function describes its statement: what it does, its parameters, and the columns of the rows that
it returns. The same statement runs on a sync engine (workers) and on an async one (API, coordinator). Nothing here
commits: the caller opens and ends the transaction.
"""
