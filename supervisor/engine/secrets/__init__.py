"""Secrets: sealed in the store, opened for a run alone."""
