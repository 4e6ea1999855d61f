"""Analytics: models and calls."""
