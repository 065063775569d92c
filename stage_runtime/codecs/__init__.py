"""Codecs: what an activation is written as between two stages, each behind the same small interface (see ``base``).

``plain`` leaves it as it is, ``half`` and ``affine`` round it, ``lossless`` packs it; ``choice`` gives them by name
and by their number in a frame, ``trial`` finds the quickest for a link.  They compute on the thread that calls them
and on no other, since every thread that torch computes on gets a pool of its own.
"""
