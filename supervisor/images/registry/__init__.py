"""The client's side of the OCI distribution protocol: where a registry is, who asks, and blobs both ways.

endpoints.py challenges.py credentials.py retries.py failures.py outgoing.py    decisions, pure
tls.py authority.py session.py                  whom to trust, and one conversation with one registry (httpx on trio)
resolving.py tags.py downloading.py uploading.py                                what is said in it

httpx takes 0.3 s to import, so nobody imports session.py before the first pull (engine/images/registries.py).
"""
