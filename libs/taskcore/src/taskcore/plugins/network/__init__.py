"""The network as tasks may use it: fit addresses only, an end in time, and connections that can be cut."""
