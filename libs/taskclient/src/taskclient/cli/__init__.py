"""`task-cli`: a command a function, on top of `taskclient.client`."""
