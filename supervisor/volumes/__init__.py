"""Volumes on disk: directories that outlive containers. Blocking file work, for threads; it knows no store.

directories.py  making, finding and clearing away: VOLUMES/NAME/_data
copying.py      a tree, copied with everything that a file has
filling.py      an empty volume begins with what the image has in its place
"""
