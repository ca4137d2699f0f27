"""Rows into the JSON of the Docker Engine API. Pure: the time comes in as an argument."""
