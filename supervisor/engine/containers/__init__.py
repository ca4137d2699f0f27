"""One container: its course of life, its runs and execs, and the decisions about them."""
