"""What tasks are and how they move. Pure: only the standard library, no clock, no I/O."""
