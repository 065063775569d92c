"""Use as many processors as one can get, for a moment, and print how many that were.

``python -I -S spin.py PROCESSES SECONDS``; standard library alone, so that it starts at once.
"""

import os
import sys
import time


def main() -> int:
    """Spin in PROCESSES processes for SECONDS and print their processor time over the time that went by."""
    processes, seconds = int(sys.argv[1]), float(sys.argv[2])
    began = time.perf_counter()
    for _ in range(processes):
        if os.fork() == 0:
            while time.perf_counter() - began < seconds:
                pass
            os._exit(0)
    for _ in range(processes):
        os.wait()
    used = os.times()
    elapsed = time.perf_counter() - began
    sys.stdout.write(f"{(used.children_user + used.children_system) / elapsed:.3f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
