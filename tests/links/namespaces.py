"""Two network namespaces that stand for devices ``a`` and ``b``, and ``python -m links`` inside them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
NAMES = ("a", "b")


def run(*words: str, check: bool = True) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=PROJECT, timeout=60)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


class Pair:
    """Devices ``a`` and ``b`` in namespaces ``<prefix>-a`` and ``-b``, with addresses ``<network>.11`` and ``.12``."""

    def __init__(self, folder: Path, prefix: str, network: str) -> None:
        self.folder = folder
        self.netns = {name: f"{prefix}-{name}" for name in NAMES}
        self.address = {name: f"{network}.{11 + index}" for index, name in enumerate(NAMES)}
        for netns in self.netns.values():
            run("ip", "netns", "add", netns)
            run("ip", "-n", netns, "link", "set", "lo", "up")

    def remove(self) -> None:
        for netns in self.netns.values():
            for pid in run("ip", "netns", "pids", netns, check=False).split():
                run("kill", "-9", pid, check=False)
            run("ip", "netns", "del", netns, check=False)

    def inside(self, name: str, *words: str, check: bool = True) -> str:
        return run("ip", "netns", "exec", self.netns[name], *words, check=check)

    def links(self, name: str, *words: str) -> dict[str, Any]:
        answer = self.inside(name, sys.executable, "-m", "links", *words, check=False)
        result: dict[str, Any] = json.loads(answer)
        return result

    def run_dir(self, name: str) -> Path:
        return self.folder / name

    def plan(self, name: str, condition: dict[str, Any], **different: Any) -> str:
        plan = {
            "owner": "campaign",
            "ttl_s": 60,
            "run_dir": str(self.run_dir(name)),
            "device": name,
            "chain": [{"name": each, "address": self.address[each]} for each in NAMES],
            "network": {"name": "test", "condition": condition},
            "probe_port": 47301,
        }
        return json.dumps(plan | different)

    def shape(self, name: str, condition: dict[str, Any], **different: Any) -> dict[str, Any]:
        return self.links(name, "shape", "--plan", self.plan(name, condition, **different))

    def clear(self, name: str, *words: str) -> dict[str, Any]:
        return self.links(name, "clear", "--run-dir", str(self.run_dir(name)), *words)


def eventually(holds: Callable[[], bool], timeout_s: float = 30) -> bool:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
