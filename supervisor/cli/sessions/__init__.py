"""Attached sessions: the person's terminal and a container's streams, over any number of engines."""
