"""The task type `send_email`."""
