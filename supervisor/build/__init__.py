"""Dockerfiles as values: what is written in them, and what it means. Nothing here touches a file, a clock, a container.

Sources: docker's Dockerfile reference; moby's parser and its builder (frontend/dockerfile of BuildKit,
daemon/builder/dockerfile). PyPI's parsers were looked at: ``dockerfile-parse`` edits a file in place and expands
neither ``${x:-y}`` nor here-documents, ``dockerfile`` is the Go parser compiled for a few platforms.
"""
