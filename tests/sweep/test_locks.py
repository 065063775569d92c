"""Two sweeps do not share a device, and a dead one holds none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.errors import CampaignError
from sweep.locks import hold_devices
from tests.sweep.support import device
from tests.virtual_devices import PROJECT


def test_a_device_in_use_is_refused_with_its_holder(tmp_path: Path) -> None:
    with hold_devices(tmp_path, [device("a"), device("b")], "first"):
        refusal = pytest.raises(
            CampaignError, match=rf"device `b` is in use by campaign first \(process {os.getpid()}\)"
        )
        with refusal, hold_devices(tmp_path, [device("c"), device("b")], "second"):
            pass
        with hold_devices(tmp_path, [device("c")], "third"):
            pass  # the refused sweep let go of what it had taken
    with hold_devices(tmp_path, [device("a"), device("b"), device("c")], "fourth"):
        pass


def test_a_killed_sweep_holds_nothing(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from sweep.locks import hold_devices
from tests.sweep.support import device
with hold_devices(Path({str(tmp_path)!r}), [device("a")], "killed"):
    print("held", flush=True)
    input()
"""
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CampaignError, match="campaign killed"), hold_devices(tmp_path, [device("a")], "next"):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with hold_devices(tmp_path, [device("a")], "next"):
            pass
