"""pysup side by side with the engines that are installed: see __main__.py."""
