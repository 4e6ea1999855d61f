"""Listing and watching events, and handing them to the store."""
