"""The keeper's entries that outlast an engine, and belong to no container (home.py)."""

HOME = "networks/home"
WAY_OUT = "networks/way-out"
KEYS = (HOME, WAY_OUT)
