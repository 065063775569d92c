"""A long sweep of short cells, watched for what grows: ``python -m bench.soak``.

``model`` is a small network of a few blocks; ``watching`` runs the sweep and samples the memory, descriptors and
threads of its driver and stages; ``growth`` says whether they, or the time per cell, grew; ``table`` writes it down.
"""
