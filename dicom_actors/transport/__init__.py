"""Sockets that do not block, plain or under TLS, for both sides of an association.

In: `plain` (TCP, and waiting for a socket), `tls`. How a connection comes about, what its bytes
mean and how long anybody may take is for `scu` and `actors` to say.
"""
