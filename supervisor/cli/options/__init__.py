"""What becomes of a command's flags: their values as fields of what the API takes."""
