"""The keeper: fork server, parent of every container, holder of every descriptor. Standard library only."""
