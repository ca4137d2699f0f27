"""One module for each command, or for a family of them: its flags, and what it does. The catalogue names them."""
