"""Volumes: their rows and directories, who uses them, and what they begin with."""
