"""Attempts in processes of their own, which can be killed. Linux only.

An executor has a nursery: a process with one thread and the plugins loaded, which forks a task process an attempt.
"""
