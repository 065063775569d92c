"""The resident stage: one process per device, run with ``python -m stage_runtime.stage``.

Who is who: ``service`` is the process (sockets, signals, lifetime); ``leader`` is the first stage's part
of a run, ``follower`` everybody else's; both are a ``run``, whose ``pipeline`` receives, computes and
sends at the same time and whose ``hop`` is the connection to the next stage.  ``plan``, ``clock``,
``blame`` and ``figures`` are pure.
"""
