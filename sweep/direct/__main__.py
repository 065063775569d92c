"""``python -m sweep.direct``: the same as ``python -m sweep direct``."""

import sys

from sweep.direct.command import main

if __name__ == "__main__":
    sys.exit(main())
