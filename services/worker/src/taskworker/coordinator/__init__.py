"""The loops that keep tasks moving, in one asyncio process: relay, rescuer, scheduler, dependency resolver, retention.

Any number of copies may run.
"""
