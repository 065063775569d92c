"""The exceptions of the stage runtime.

::

    SplitbedError                 anything this project raises on purpose
    ├── FormatError               a manifest, cell, row or frame that does not parse
    ├── ModelError                an unknown model, split point, or weights that do not fit
    ├── InputError                photographs that cannot be found or read
    ├── ShardError                a shard that is missing, truncated or altered
    ├── LinkError                 a link that cannot be shaped, or is not what was asked for
    ├── TransportError            a peer that is unreachable, silent, or not who it must be
    │   └── TransportTimeoutError      the same, because time ran out
    └── CellError                 a cell that failed on some stage; carries the device's name

Every message names what failed, where, the value it got, and what to do about it.
"""

from __future__ import annotations


class SplitbedError(Exception):
    """Base of every error that this project raises on purpose."""


class FormatError(SplitbedError):
    """Data that crosses between rooms does not have its written format."""


class ModelError(SplitbedError):
    """A model, split point or weights file cannot be used."""


class InputError(SplitbedError):
    """Photographs to run a model on cannot be found or read."""


class EngineError(SplitbedError):
    """An engine cannot run a stage here."""


class ShardError(SplitbedError):
    """A shard is missing, truncated or altered."""


class LinkError(SplitbedError):
    """A link cannot be shaped, or is not what was asked for."""


class TransportError(SplitbedError):
    """A neighbour is unreachable, silent, or not who it must be."""


class TransportTimeoutError(TransportError):
    """A neighbour did not answer in time."""


class CellError(SplitbedError):
    """A cell failed; ``device`` names the stage's device that reported it."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(f"{device}: {reason}")
        self.device = device
        self.reason = reason
