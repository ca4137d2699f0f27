"""Networks: the kernel's side for the whole daemon (fabric.py), and a container's for a run (sandbox.py)."""
