"""The command group `analytics`."""
