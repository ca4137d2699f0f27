"""The SQLite store of pysup: every container, run, event and image is a row here."""
