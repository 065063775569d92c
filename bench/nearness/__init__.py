"""How near the bounds cells come: splits of all six models, one batch in flight and several, on three networks.

``python -m bench.nearness`` sweeps two virtual devices with a core each, and writes sections on the efficiencies
and on what a stage holds in memory.

``cells`` says what is swept, ``compute`` makes figures of the rows, ``words`` writes them, ``command`` puts it
together.
"""
