"""A conda that records what it is told and makes a bare Python environment.

The test writes it as an executable; ``installer`` is a Miniforge installer that installs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

_CONDA = """#!{python}
import json, site, sys, venv
from pathlib import Path
with open({record!r}, "a") as record:
    record.write(json.dumps(sys.argv[1:]) + "\\n")
prefix = Path(sys.argv[sys.argv.index("--prefix") + 1])
venv.create(prefix, clear=True, symlinks=True)
# pip and torch come from where the test runs
folder = next(prefix.glob("lib/python3*/site-packages"))
(folder / "double.pth").write_text("\\n".join(site.getsitepackages()))
"""

_INSTALLER = """
while getopts "bup:" option; do [ "$option" = p ] && prefix=$OPTARG; done
mkdir -p "$prefix/bin"
cp {conda} "$prefix/bin/conda"
"""


def write_conda(path: Path, record: Path) -> None:
    """Write the double as an executable that appends its arguments to ``record``, a JSON list a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_CONDA.format(python=sys.executable, record=str(record)))
    path.chmod(0o755)


def write_installer(path: Path, conda: Path) -> None:
    """Write an installer with Miniforge's options that installs ``conda``."""
    path.write_text(_INSTALLER.format(conda=conda))
