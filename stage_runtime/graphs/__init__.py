"""Graphs: what ONNX Runtime computes for a range of blocks, without weights, which stay in the blocks' shards.

The control node makes them (``python -m stage_runtime.graphs make``): a model is exported once, with every block border
named, and cut by names for each range of blocks that a plan has.  A graph names a tensor of a block by file, offset
and length.  Devices need :mod:`~stage_runtime.graphs.places` alone.
"""
