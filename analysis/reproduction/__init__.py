"""The published results beside a campaign of ours: rows, claims with verdicts, one page.

``published`` holds what the paper printed, ``counterpart`` what the same splits measured here, ``claims`` a
module per published claim, each with the rule by which its verdict is computed.

On the command line: ``python -m analysis.reproduction --help``.
"""
