"""What all tests share: which may run here, and in which order."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import subprocess

import pytest

# Ansible replaces sys.intern when it is imported, and torch's compiler, which tracing a model pulls in,
# refuses to load after that.  In the programs themselves the two never share a process.
import torch._dynamo  # noqa: F401 - for what it does on import

# As a stage does: it looks for garbage before each run, and need not among what is imported.
gc.freeze()

# sshd and ip lie there, and a test run's PATH may lack them
_PROGRAMS = ("ip", "tc", "sshd", "unshare", "ssh")


@functools.cache
def _why_no_integration() -> str | None:
    """Say what this machine lacks for integration tests, or None when they can run."""
    if os.geteuid() != 0:
        return "integration tests make network namespaces: run them as root (sudo make test)"
    search = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [program for program in _PROGRAMS if shutil.which(program, path=search) is None]
    if missing:
        return f"integration tests need {', '.join(missing)}: run make setup"
    unshare = shutil.which("unshare", path=search) or "unshare"
    probe = subprocess.run([unshare, "--net", "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        return f"this root may not make network namespaces: {probe.stderr.strip()}"
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run unit tests first, and skip integration tests with a reason where they cannot run."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is not None)
    for item in items:
        if item.get_closest_marker("integration") is not None:
            reason = _why_no_integration()
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))
