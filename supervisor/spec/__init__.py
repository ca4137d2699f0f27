"""Frozen values that say what a container is to be, and their parsing. Pure."""
