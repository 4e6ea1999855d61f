"""What watches a running trial."""
