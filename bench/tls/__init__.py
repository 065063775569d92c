"""What TLS between stages costs: ``python -m bench.tls``, in about a minute, without root.

Two processes of this machine talk over loopback, by one connection in the clear and one under TLS, each made as
stages make theirs.  ``ends`` holds the called one; ``measuring`` calls, and takes the two in turn; ``table`` says what
came of it.  Loopback has no rate of its own, so what is seen is what the processors can do, which is what TLS costs.
"""
