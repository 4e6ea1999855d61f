"""Kubernetes events and alerts as the server keeps them: what they look like, the calls, and following them."""
