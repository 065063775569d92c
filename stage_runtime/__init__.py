"""What runs on a device: blocks, shards, the wire, transports and the stage itself.

Nothing here imports ``sweep``, ``planning`` or ``analysis``.  Importing this package, or
``stage_runtime.formats``, never imports torch.
"""

__version__ = "0.1.0"
