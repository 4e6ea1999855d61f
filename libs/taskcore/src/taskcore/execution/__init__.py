"""Running claimed attempts: slots, the plugin call, reports while it runs, and storing the results."""
