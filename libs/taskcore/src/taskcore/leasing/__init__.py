"""The lease of a worker: registered, kept alive, compared with what its processes hold, and given up."""
