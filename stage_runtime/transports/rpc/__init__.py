"""Streams over PyTorch RPC: every ``send`` is one call at the peer.

``calls`` is what stages call at each other, ``pieces`` what a call carries, ``stream`` one end of a
stream, ``transport`` how streams come about.  A process belongs to one RPC world in its life, and
``stage_runtime.stage.world`` joins it; nothing here may be used before that.
"""
