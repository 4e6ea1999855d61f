"""The request middleware, and the exception handler."""
