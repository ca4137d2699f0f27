"""What a container sees of the machine: a probe that runs in one, what it must find, and the same in other engines."""
