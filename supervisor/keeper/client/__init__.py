"""The engine's side of the keeper. trio; the keeper itself never imports this."""
