"""What keeps tasks moving, in one asyncio loop: the relay, the rescuer, the sweep, the scheduler.

Any number of copies is safe.
"""
