"""Events as the API server sends them, and how they are normalized."""
