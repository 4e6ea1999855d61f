"""`task-cli`: one function per command, on top of `taskclient.client`."""
