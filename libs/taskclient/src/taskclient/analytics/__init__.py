"""Analytics as the server keeps them: what they look like, the calls, and a chart of them."""
