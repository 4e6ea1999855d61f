"""HTTP for tasks: to allowed addresses only, with one deadline, over connections that an interrupt can close."""
