"""``python -m bench.engines``."""

import sys

from bench.engines.command import main

if __name__ == "__main__":
    sys.exit(main())
