"""What people would pick instead, and the bounds: who is faster than whom, in one run.

``make bench`` (``python -m bench``) sweeps our own cells with the driver, as one campaign, and runs the blocking
pickle transport between them on the same devices and links; repeat by repeat each figure of one side is set against
the same figure of another.

``sides`` says who is measured where, ``interleave`` in which order, ``workers`` speaks to the pickle transport's
two processes, ``baseline`` turns what they say into rows, ``field`` puts both into a sweep; ``compare`` makes ratios of
the rows, ``targets`` judges them, ``tables`` shows them.
"""
