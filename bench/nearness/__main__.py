"""``python -m bench.nearness``."""

import sys

from bench.nearness.command import main

if __name__ == "__main__":
    sys.exit(main())
