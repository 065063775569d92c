"""Ansible module: keep one resident stage process running, or stop it.

One module instead of a row of tasks, because every task costs a device with half a core about half
a second, and because what is running has to be looked at and changed in one place.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: stage_process
short_description: Keep one resident stage process running, or stop it
description:
  - Starts C(python -m stage_runtime.stage) in a session of its own, with the given configuration and secret.
  - A process that runs already with the same stamp and runtime is left alone; any other is replaced.
options:
  state: {type: str, choices: [started, stopped], default: started, description: What to reach.}
  config: {type: dict, required: true, description: The stage's configuration (StageConfig).}
  python: {type: path, required: true, description: Interpreter of the stage.}
  runtime: {type: path, required: true, description: Folder with the runtime's packages and .digest.}
  secret: {type: str, description: What neighbours prove to each other that they know. Needed to start.}
  stamp: {type: str, default: '', description: Hash of configuration and secret.}
  timeout_s: {type: int, default: 60, description: How long the stage may take to answer.}
author: [Splitbed]
"""

EXAMPLES = """
- name: Stop the stage
  stage_process:
    state: stopped
    config: {device: pi1, control_socket: /home/pi/splitbed/run/stage.sock}
    python: /home/pi/splitbed/venv/bin/python
    runtime: /home/pi/splitbed/runtime
"""

RETURN = """
pid: {type: int, returned: when started, description: The stage's process.}
"""

STOP_WAIT_S = 5.0
POLL_S = 0.1
LOG_TAIL_BYTES = 2000
TCP_LISTEN = "0A"  # the state's code in /proc/net/tcp


class StageError(Exception):
    """The stage cannot be started or stopped; the message says why and what to do."""


class Stage:
    """The stage process of one configuration, as found in /proc and behind its control socket."""

    def __init__(self, config: dict[str, Any], *, python: str, runtime: str) -> None:
        """Take the configuration; nothing is touched yet."""
        self.config = config
        self.python = python
        self.runtime = Path(runtime)
        self.folder = Path(config["control_socket"]).parent
        self.config_file = self.folder / "stage.json"
        self.stamp_file = self.folder / "stage.stamp"

    def control(self, command: str, timeout_s: float = 10.0) -> bool:
        """Send one control command; say whether the stage answered it."""
        script = self.runtime / "stage_runtime" / "control.py"
        arguments = [self.python, "-I", "-S", str(script), "--socket", self.config["control_socket"], command]
        try:
            done = subprocess.run(arguments, capture_output=True, check=False, timeout=timeout_s)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def processes(self) -> list[int]:
        """List the processes that run this configuration, whoever started them."""
        mine = ["stage_runtime.stage", str(self.config_file)]
        return [pid for pid in _processes() if all(part in _arguments(pid) for part in mine)]

    def current(self, stamp: str) -> bool:
        """Say whether the stage runs with this stamp and the runtime that is there now."""
        try:
            found = self.stamp_file.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return False
        return found == [stamp, self.digest()] and self.control("ping")

    def digest(self) -> str:
        """Give the runtime's digest; raises StageError when the runtime is not there."""
        try:
            return (self.runtime / ".digest").read_text(encoding="utf-8").strip()
        except FileNotFoundError as error:
            raise StageError(
                f"{self.runtime} holds no runtime; provision the device first: ansible-playbook playbooks/provision.yml"
            ) from error

    def stop(self) -> bool:
        """End every process of this stage: asked, then told, then killed; say whether there was one."""
        found = self.processes()
        if found:
            self.stamp_file.unlink(missing_ok=True)
            self.control("stop")
            for number in (signal.SIGTERM, signal.SIGKILL):
                if self._ended_within(STOP_WAIT_S):
                    break
                for pid in self.processes():
                    os.kill(pid, number)
            if not self._ended_within(STOP_WAIT_S):
                raise StageError(f"process {self.processes()} does not end, even after SIGKILL; restart the device")
        Path(self.config["control_socket"]).unlink(missing_ok=True)
        return bool(found)

    def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def check_port(self) -> None:
        """Raise StageError when the data address and port cannot be listened on."""
        address, port = self.config["data_address"], int(self.config["port"])
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
                probe.listen(1)
            except OSError as error:
                raise StageError(_port_message(address, port, error)) from error

    def start(self, secret: str, stamp: str, timeout_s: float) -> int:
        """Write configuration and secret, start the process, wait for its answer; give its pid."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(Path(self.config["secret_file"]), secret)
        write_private(self.config_file, json.dumps(self.config, indent=2))
        with Path(self.config["log_file"]).open("wb") as log:
            process = subprocess.Popen(
                [self.python, "-m", "stage_runtime.stage", "--config", str(self.config_file)],
                cwd=self.runtime,
                env={**os.environ, "PYTHONPATH": str(self.runtime)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # it outlives the SSH session that starts it
            )
        self._await_answer(process, timeout_s)
        write_private(self.stamp_file, f"{stamp} {self.digest()}")
        return process.pid

    def _await_answer(self, process: subprocess.Popen[bytes], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not (Path(self.config["control_socket"]).exists() and self.control("ping")):
            status = process.poll()
            if status is not None:
                raise StageError(f"the stage ended with status {status} while starting. {self._log_tail()}")
            if time.monotonic() > deadline:
                self.stop()
                raise StageError(f"the stage did not answer within {timeout_s} s. {self._log_tail()}")
            time.sleep(POLL_S)

    def _log_tail(self) -> str:
        log = Path(self.config["log_file"])
        return f"The end of {log}:\n{log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors='replace')}"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _arguments(pid: int) -> list[str]:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it ended meanwhile
        return []


def _port_message(address: str, port: int, error: OSError) -> str:
    users = ", ".join(f"{pid} ({' '.join(_arguments(pid)).strip()[:120]})" for pid in port_users(port))
    if isinstance(error, PermissionError):
        remedy = "ports below 1024 belong to root; set stage_port higher"
    elif users:
        remedy = f"process {users} has it; end it, or set stage_port to another port"
    else:
        remedy = "set data_address to an address of this device, or stage_port to a free port"
    return f"cannot listen on {address} port {port} ({error.strerror}): {remedy}"


def port_users(port: int) -> list[int]:
    """List the processes that listen on a TCP port, as far as this user may see them."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == TCP_LISTEN}
    return [pid for pid in _processes() if sockets.intersection(_open_files(pid))]


def _open_files(pid: int) -> set[str]:
    try:
        return {str(entry.readlink()) for entry in (Path("/proc") / str(pid) / "fd").iterdir()}
    except OSError:  # it ended meanwhile, or belongs to another user
        return set()


def reach(stage: Stage, options: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Bring the stage into the state asked for; give Ansible's result."""
    if options["state"] == "stopped":
        return {"changed": bool(stage.processes()) if check_mode else stage.stop()}
    if stage.current(options["stamp"]):
        return {"changed": False, "pid": (stage.processes() or [None])[0]}
    if check_mode:
        return {"changed": True}
    stage.digest()
    stage.stop()
    stage.check_port()
    return {"changed": True, "pid": stage.start(options["secret"], options["stamp"], options["timeout_s"])}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "config": {"type": "dict", "required": True},
            "python": {"type": "path", "required": True},
            "runtime": {"type": "path", "required": True},
            "secret": {"type": "str", "no_log": True},
            "stamp": {"type": "str", "default": ""},
            "timeout_s": {"type": "int", "default": 60},
        },
        required_if=[("state", "started", ["secret", "stamp"])],
        supports_check_mode=True,
    )
    options = module.params
    stage = Stage(options["config"], python=options["python"], runtime=options["runtime"])
    try:
        result = reach(stage, options, check_mode=module.check_mode)
    except StageError as error:
        module.fail_json(msg=f"{options['config']['device']}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
