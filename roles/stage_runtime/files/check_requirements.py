"""Say which pinned packages this interpreter lacks.

Handed to a device's Python as ``python -c <this file> PIN...``, so it needs nothing there but the
standard library.  A pin is ``name==version``.  Prints one JSON line: ``{"python", "prefix",
"missing": [{"pin", "found"}]}``, ``found`` being the other version, or None.
A local build (``2.13.0+cpu``) satisfies the pin of its public version.
"""

import importlib.metadata
import json
import sys


def missing_pins(pins: list[str]) -> list[dict[str, str | None]]:
    """Return the pins that are not satisfied, each with the version found instead."""
    missing: list[dict[str, str | None]] = []
    for pin in pins:
        name, _, wanted = pin.partition("==")
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = None
        if found != wanted and (found is None or found.split("+")[0] != wanted):
            missing.append({"pin": pin, "found": found})
    return missing


if __name__ == "__main__":
    python = ".".join(str(part) for part in sys.version_info[:3])
    answer = {"python": python, "prefix": sys.prefix, "missing": missing_pins(sys.argv[1:])}
    sys.stdout.write(json.dumps(answer) + "\n")
