"""The operator's own metrics, out of the settings."""
