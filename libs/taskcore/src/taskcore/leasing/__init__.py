"""A worker's lease: registered, kept alive, compared with what its processes hold, and given up."""
