"""Reference outputs: what the unsplit model gives for the inputs, in plain PyTorch and float32.

The control node computes them once for each model and inputs; the first stage holds every batch against them.
"""
