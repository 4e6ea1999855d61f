"""What the collector of Kubernetes events stored, over HTTP: events, gaps in them, and alerts."""
