"""Ctrl-C in ``ansible-playbook sweep.yml`` tells the driver inside instead of ending it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).parents[2] / "playbooks" / "callback_plugins"
# ansible-playbook, with its own handler, and a worker in which a driver hears
_PLAY = """
import multiprocessing, signal, sys, time
sys.path.insert(0, sys.argv[1])
from gentle_interrupt import CallbackModule

def drive(ready):
    heard = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    ready.set()
    while len(heard) < 3:
        time.sleep(0.01)
        if len(heard) > drive.told:
            drive.told = len(heard)
            print("heard", drive.told, flush=True)
drive.told = 0

class Task:
    action = sys.argv[2]

signal.signal(signal.SIGINT, lambda *_: (print("ended by ansible", flush=True), sys.exit(9)))
context = multiprocessing.get_context("fork")
ready = context.Event()
plugin = CallbackModule()
plugin.v2_playbook_on_task_start(Task, False)
worker = context.Process(target=drive, args=(ready,), daemon=True)
worker.start()
ready.wait()
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


def play(action: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PLAY, str(PLUGINS), action],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_driver_hears_three_interrupts_and_ansible_the_fourth() -> None:
    with play("splitbed_sweep") as process:
        assert process.stdout is not None
        for heard in (1, 2):
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == f"heard {heard}\n"
        process.send_signal(signal.SIGINT)
        while process.poll() is None:  # until the third was heard, the fourth could be the same signal
            process.send_signal(signal.SIGINT)
            try:
                process.wait(0.3)
            except subprocess.TimeoutExpired:
                continue
        said, complaints = process.communicate(timeout=60)
    assert process.returncode == 9
    assert "ended by ansible" in said
    assert complaints.split("\n\n")[0].strip() == "stopping after the running cell; Ctrl-C again stops at once"
    assert "leaving what runs on the devices to end by itself" in complaints


def test_a_play_without_a_driver_is_ansibles_own_affair() -> None:
    with play("debug") as process:
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=60)
    assert process.returncode == 9
    assert said == "ended by ansible\n"
    assert complaints == ""
