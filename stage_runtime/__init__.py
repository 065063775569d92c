"""What runs on a device: blocks, shards, the wire, transports and the stage itself.

Nothing here imports ``sweep``, ``analysis`` or ``bench``.  Importing this package, or
``stage_runtime.formats``, never imports torch.
"""

from pathlib import Path


def _version() -> str:
    """Give the release, and on a device the first digits of the digest that its copy was packed with."""
    try:
        packed = (Path(__file__).parent.parent / ".digest").read_text(encoding="utf-8").strip()
    except OSError:
        return _RELEASE
    return f"{_RELEASE}+{packed[:_DIGITS]}" if packed.isalnum() else _RELEASE


_RELEASE, _DIGITS = "0.1.0", 12
__version__ = _version()
