"""The collector of Kubernetes events: one at work, however many copies there are."""
