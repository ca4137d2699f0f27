"""Images from registries and to them, and who one is there."""
