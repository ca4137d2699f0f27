"""Names of containers: the resolver on 127.0.0.11 of each container on a user network, and its files in /etc.

zone.py         which names a container may see, and what they mean; pure
upstreams.py    the other servers; pure
wire.py         a packet in, an answer out (RFC 1035); pure
known.py        answers that were given before; pure
forwarding.py   asks other servers
framing.py      messages over TCP
server.py       UDP and TCP, one task per container
sockets.py      makes its sockets in the container's network namespace, and the rules that lead port 53 to them
resolv_conf.py  reads the host's resolv.conf, writes the container's; pure
hosts.py        writes /etc/hosts and /etc/hostname; pure

wire.py, forwarding.py and server.py import dnspython, which takes 0.15 s: engine/networks/naming.py imports them, in a
thread.
"""
