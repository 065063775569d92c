"""How bytes get from one stage to the next: one interface, and what implements it.

``base`` is the whole contract; ``tcp`` and ``rpc`` are real, ``memory`` opens no socket and serves the
tests of everything above it.
"""
