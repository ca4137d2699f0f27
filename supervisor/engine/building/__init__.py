"""Builds: the acting side of Dockerfiles. What they mean is decided in build/, which is pure.

A step is an image. It is made of the one before by a change of the config alone, or by a layer that was written into an
overlay: by a container (RUN), or by the engine itself (COPY, ADD, WORKDIR). What a step gave is found again by its key.
"""
