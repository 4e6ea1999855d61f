"""Proxies between the processes and their servers, and taps that read the protocols."""
