"""pysup: an init-like supervisor for containers on Linux."""

__version__ = "0.1.0"
