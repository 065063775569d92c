"""``python -m bench``: the contest, as ``make bench`` runs it."""

import sys

from bench.contest.command import main

if __name__ == "__main__":
    sys.exit(main())
