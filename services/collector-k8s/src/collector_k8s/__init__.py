"""The collector of Kubernetes events: of any number of copies, one collects and the others stand by."""
