"""Images: how content becomes one, from archives and registries, and how it leaves again."""
