"""How fast the engines are: whole models on one core, without transport, each engine in a process of its own.

``runner`` is such a process, ``measure`` asks them in turn, round by round, since a machine's speed drifts, ``compute``
makes ratios of the rounds and ``words`` tables of these.  Plain PyTorch runs twice: as in a stage, which keeps freed
memory (:mod:`stage_runtime.allocator`), and as people have it, which does not.  Two engines also compute while the
same one does on another core, since a chain's stages do: what cores take from each other no bound has.
"""
