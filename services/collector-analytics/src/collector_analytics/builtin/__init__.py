"""What Taskcore measures of itself."""
