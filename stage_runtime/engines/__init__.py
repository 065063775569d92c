"""Engines: what computes a stage's blocks, each behind the same small interface (see ``base``)."""
