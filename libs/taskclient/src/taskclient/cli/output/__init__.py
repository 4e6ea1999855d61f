"""Tables, JSON, and YAML on standard output."""
