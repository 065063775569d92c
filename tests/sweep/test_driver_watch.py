"""A play and what it forks end with the driver, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PLUGINS = Path(__file__).parents[2] / "playbooks" / "callback_plugins"
_PLAY = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from driver_watch import CallbackModule
CallbackModule()
child = os.fork()
if child:
    print(os.getpid(), child, flush=True)
time.sleep(60)
"""
# a driver that starts the play and lives until it is killed
_DRIVER = """
import os, subprocess, sys
environment = {**os.environ, "SPLITBED_DRIVER_PID": str(os.getpid())}
subprocess.run([sys.executable, "-c", sys.argv[2], sys.argv[1]], env=environment)
"""


@pytest.mark.parametrize("killed", ["driver", "play"])
def test_a_play_and_its_forks_end_with_the_process_that_started_them(killed: str) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, str(PLUGINS), _PLAY], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    with driver:
        assert driver.stdout is not None
        play, child = (psutil.Process(int(word)) for word in driver.stdout.readline().split())
        try:
            (driver if killed == "driver" else play).kill()
            gone_by = time.monotonic() + 30
            while (left := [one for one in (play, child) if _lives(one)]) and time.monotonic() < gone_by:
                time.sleep(0.02)
            assert left == []
        finally:
            for one in (play, child):
                if _lives(one):
                    one.kill()
            driver.kill()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
