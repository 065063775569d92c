"""Become another command, held to processors and bound to the life of the driver.

::

    python -I -S launch.py --parent PID [--cores 0,2] [--group FOLDER …] -- COMMAND …

Joins the control groups, takes the cores, has the kernel kill it when the thread that started it ends
(which it does with the driver, however that dies), and becomes COMMAND.  The exit status is 120, with the reason on
standard error, where one of these cannot be had.

It runs between the driver's fork and the command, so it uses the standard library alone.
"""

import argparse
import ctypes
import os
import signal
import sys

EXIT_REFUSED = 120
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Do what the arguments say; returns only when something cannot be had."""
    parser = argparse.ArgumentParser(prog="launch.py", description="Confine a command and become it.")
    parser.add_argument("--parent", type=int, required=True, help="the process whose end ends the command")
    parser.add_argument("--cores", default="", help="the cores it may run on, such as 0,2; default: any")
    parser.add_argument("--group", action="append", default=[], help="folder of a control group to join")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        _die_with_parent(options.parent)
        for group in options.group:
            with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as file:  # noqa: PTH118, PTH123  (pathlib takes longer to import than all the rest)
                file.write(str(os.getpid()))
        if options.cores:
            os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})
        os.execvp(options.command[0], options.command)  # noqa: S606  (the command is the driver's own)
    except OSError as exc:
        sys.stderr.write(f"launch: {exc}\n")
    return EXIT_REFUSED


def _die_with_parent(parent: int) -> None:
    """Ask to be killed with the thread that started this; raises OSError where it has ended already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        raise OSError(f"process {parent}, which started this, is gone")


if __name__ == "__main__":
    sys.exit(main())
