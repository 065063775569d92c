"""A whole sweep under TLS, and where its secret and its keys are seen: nowhere but where they belong."""

from __future__ import annotations

import contextlib
import json
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

import psutil
import pytest

from tests.virtual_devices import PROJECT, VirtualTestbed

pytestmark = pytest.mark.integration

WORDS = (
    "model=mobilenet_v2", "chains=near", "networks=quick", "splits=P3", "window=1", "batches=5", "warmup=1",
    "budget=quick", "tls=true",
)  # fmt: skip
DEVICES = ("one", "two")
# what a device only has copies of, or links to
ELSEWHERE = {"venv", "shards", "inputs", "runtime"}


class Watch:
    """Looks, again and again while a sweep runs, for its secrets, for where they lie and for what processes show."""

    def __init__(self, bed: VirtualTestbed, results: Path) -> None:
        self.secrets: set[bytes] = set()
        self.modes: set[tuple[str, int]] = set()
        self.shown: set[bytes] = set()
        self._runs = [bed.root / name / "splitbed" / "run" for name in DEVICES]
        self._results = results
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.25):
            for path in (*self._results.glob("*/.secret"), *self._results.glob("*/.tls/*.key")):
                self._note(path)
            for run in self._runs:
                for name in ("secret", "key.pem"):
                    self._note(run / name)
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error, OSError):
                    self.shown.add("\0".join(process.cmdline()).encode())
                    self.shown.add("\0".join(process.environ().values()).encode())

    def _note(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            content, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
            self.secrets.update(line for line in content.split(b"\n") if line and not line.startswith(b"-----"))
            self.modes.add((path.name, mode))


def files_under(folder: Path, leave_out: set[str]) -> list[Path]:
    found = []
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            found += files_under(path, leave_out) if path.name not in leave_out else []
        elif path.is_file():
            found.append(path)
    return found


def test_secrets_are_seen_nowhere_but_where_they_belong(bed: VirtualTestbed, results: Path, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with Watch(bed, results) as watch, said.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "sweep", "run", f"inventory={bed.inventory}", f"results={results}", *WORDS],
            cwd=PROJECT,
            stdout=output,
            stderr=output,
            check=False,
            timeout=400,
        )
    assert done.returncode == 0, said.read_text()
    names = {name for name, _ in watch.modes}
    assert names == {".secret", "secret", "key.pem", *(f"{name}.key" for name in DEVICES)}, "they were there"
    assert {mode for _, mode in watch.modes} == {0o600}
    assert len(watch.secrets) >= 1 + 2 * len(DEVICES), "the secret, and some lines of each key"
    assert any(b"stage_runtime.stage" in shown for shown in watch.shown), "the stages were looked at"

    assert [shown for shown in watch.shown if any(secret in shown for secret in watch.secrets)] == []
    looked_at = [said, *files_under(results, set()), *files_under(bed.folder / "inventory", set())]
    for name in DEVICES:
        looked_at += files_under(bed.root / name, ELSEWHERE)
    looked_at += files_under(Path("/run") / bed.prefix, set())
    kinds = {"said", "journal.jsonl", "campaign.json", "near@quick.json", "stage.log", "stage.json", "sshd.log"}
    assert {path.name for path in looked_at} >= kinds
    holding = [path for path in looked_at if any(secret in path.read_bytes() for secret in watch.secrets)]
    assert holding == []

    (journal,) = results.glob("*/journal.jsonl")
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    assert {(row["split"], row["transport"], row["tls"]) for row in rows} == {
        (split, "tcp", True) for split in ("P3", "only:one", "only:two")
    }
    assert all(hop["protection"].startswith("TLSv1.3 ") for row in rows for hop in row["hops"])
    assert json.loads((journal.parent / "provenance" / "near@quick.json").read_text())["tls"] is True
    assert not (journal.parent / ".secret").exists()
    assert not (journal.parent / ".tls").exists()
