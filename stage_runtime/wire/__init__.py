"""What neighbouring stages say to each other, byte by byte.

``handshake`` proves both sides know the secret before anything is parsed; ``frames`` are fixed
headers with bounded sizes; ``messages`` are the JSON bodies of control frames; ``channel`` reads and
writes all of it over any stream.  Nothing here needs torch, and nothing is ever unpickled.
"""
