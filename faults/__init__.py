"""What the promises are worth: one fault after the other under load, and a judge. See docs/reliability.md."""
