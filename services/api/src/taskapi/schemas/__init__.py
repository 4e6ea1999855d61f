"""Request and response bodies. Those of a feature with a folder of its own are there."""
