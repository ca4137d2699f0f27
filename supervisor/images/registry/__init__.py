"""The client's side of the OCI distribution protocol: where a registry is, who asks, and blobs both ways.

endpoints.py challenges.py credentials.py retries.py    decisions, pure
authority.py session.py                                  one conversation with one registry (httpx on trio)
downloading.py uploading.py                              one blob

httpx takes 0.3 s to import, so nobody imports session.py before the first pull (engine/registries.py).
"""
