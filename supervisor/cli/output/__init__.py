"""What is printed: lists, documents, templates, times, progress."""
