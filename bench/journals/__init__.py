"""How the analysis does with long journals: ``python -m bench.journals`` makes one and has it analysed.

``making`` writes rows as a sweep of all six models would, as many as are asked for; ``watching`` runs a command and
notes its time and its most memory, of all its processes together.
"""
