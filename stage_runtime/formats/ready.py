"""Have msgspec look through types where they are defined, and not where threads first read them.

What a Struct holds msgspec (as of 0.22) finds out when one is first read, and keeps it with the class.  Two threads
that do so at the same time can take down the interpreter with a segmentation fault: one finds what the other has half
made.
"""

from __future__ import annotations

import msgspec


def make_ready(*kinds: type[msgspec.Struct]) -> None:
    """Make these Structs, and all that they hold, ready to be read by several threads; call it where a module ends."""
    for kind in kinds:
        msgspec.json.Decoder(kind)
