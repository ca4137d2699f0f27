"""Networks of containers: values in, values out; who owns which address is the store's, who decides is the engine.

addresses.py    which subnet, which address; pure
rules.py        the one nftables table, ``inet pysup``, as text; pure
messages.py     what is said to rtnetlink (pyroute2's classes encode it)
hooks.py        the chains that packets pass, as nft lists them; pure
passing.py      asks for them
devices.py      whether a network can have an interface of the host
netlink.py      a netlink socket on trio
firewall.py     applies rules, one transaction at a time
nft_worker.py   the process that has libnftables
kernel_parts.py parts of the kernel that may be missing, and how that is told; pure
neighbours.py   bridges of other container managers; pure
probing.py      tries which are there
watching.py     what others take away
routes.py       where the host has routes to
wiring.py       bridges, and containers on them
names/          names of containers
"""
