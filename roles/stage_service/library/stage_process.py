"""Ansible module: keep one resident stage process running, or stop it.

One module instead of a row of tasks, because every task costs a device with half a core about half
a second, and because what is running has to be looked at and changed in one place.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
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
  - A process that says it was started with the same stamp and runtime is left alone; any other is replaced.
options:
  state: {type: str, choices: [started, stopped], default: started, description: What to reach.}
  config: {type: dict, required: true, description: The stage's configuration (StageConfig).}
  python: {type: path, required: true, description: Interpreter of the stage.}
  runtime: {type: path, required: true, description: Folder with the runtime's packages and .digest.}
  secret: {type: str, description: What neighbours prove to each other that they know. Needed to start.}
  tls:
    type: dict
    description: What the configuration's C(tls) names, as PEM. Needed to start where it names something.
    suboptions:
      authority: {type: str, required: true, description: The certificate of who signed those of all stages.}
      certificate: {type: str, required: true, description: This stage's.}
      key: {type: str, required: true, description: That of the certificate.}
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
status: {type: dict, returned: when started, description: What the stage says of itself.}
"""

CONTROL_WAIT_S = 15.0
STOP_WAIT_S = 5.0
POLL_S = 0.1
# Beside the socket, as the role's configuration names them.
PRIVATE_FILES = ("secret", "key.pem", "certificate.pem", "authority.pem")
LAST_WORDS_BYTES = 2000


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
        self.output_file = self.folder / "stage.out"
        self.private_files = [self.folder / name for name in PRIVATE_FILES]

    def control(self, operation: str) -> dict[str, Any] | None:
        """Send one control operation; give the stage's answer, None when there is none."""
        script = str(self.runtime / "stage_runtime" / "control.py")
        words = [self.python, "-I", "-S", script, "--socket", self.config["control_socket"], operation]
        try:
            done = subprocess.run(words, capture_output=True, check=True, timeout=CONTROL_WAIT_S)
            answer: dict[str, Any] = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError, json.JSONDecodeError):
            return None
        return answer

    def tag(self, stamp: str) -> str:
        """Join the stamp and the runtime's digest; raises StageError when there is no runtime."""
        try:
            return f"{stamp}.{(self.runtime / '.digest').read_text(encoding='utf-8').strip()}"
        except FileNotFoundError as error:
            raise StageError(
                f"{self.runtime} holds no runtime; provision the device first: ansible-playbook playbooks/provision.yml"
            ) from error

    def processes(self) -> list[int]:
        """List the processes that run this configuration, whoever started them."""
        mine = {"stage_runtime.stage", str(self.config_file)}
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if mine.issubset(_arguments(pid))]

    def end_what_stands_still(self) -> None:
        """Kill every process of this stage that a signal stopped: whoever asks it something would wait in vain."""
        for pid in self.processes():
            if _state(pid) in {"T", "t"}:
                with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(pid, signal.SIGKILL)

    def stop(self) -> bool:
        """End every process of this stage: asked, then told, then killed; say whether there was one."""
        if not self.processes():
            return False
        self.end_what_stands_still()
        self.control("stop")
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._ended_within(STOP_WAIT_S):
                break
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(pid, number)
        if not self._ended_within(STOP_WAIT_S):
            raise StageError(f"process {self.processes()} does not end, even after SIGKILL; restart the device")
        return True

    def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def forget(self) -> None:
        """Remove what a stage that ended by itself removes, for one that was killed could not.

        With the secret and the key nothing can be done but to pass for this stage; those that a killed start was
        writing have another name.  Nobody answers behind the socket.
        """
        partial = [found for path in self.private_files for found in self.folder.glob(f".{path.name}.*")]
        for path in (*self.private_files, *partial, Path(self.config["control_socket"])):
            path.unlink(missing_ok=True)

    def start(self, secret: str, tls: dict[str, str] | None, tag: str, timeout_s: float) -> dict[str, Any]:
        """Write configuration, secret and certificates, start the process, wait until it answers; give its status."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.forget()
        write_private(Path(self.config["secret_file"]), secret)
        for what, content in (tls or {}).items():
            write_private(Path(self.config["tls"][what]), content)
        write_private(self.config_file, json.dumps(self.config, indent=2))
        with self.output_file.open("wb") as output:
            process = subprocess.Popen(
                [self.python, "-m", "stage_runtime.stage", "--config", str(self.config_file), "--tag", tag],
                cwd=self.runtime,
                # What lies in the user's home is not in the environment, though a conda Python would take it first.
                env={**os.environ, "PYTHONPATH": str(self.runtime), "PYTHONNOUSERSITE": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # it outlives the SSH session that starts it
            )
        return self._await_answer(process, timeout_s)

    def _await_answer(self, process: subprocess.Popen[bytes], timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        socket_file = Path(self.config["control_socket"])
        while True:
            ended = process.poll()
            answer = self.control("status") if socket_file.exists() else None
            if ended is not None:
                self.forget()
                raise StageError(f"the stage ended with status {ended} while starting: {self._last_words()}")
            if answer is not None and answer.get("pid") == process.pid:
                return answer
            if time.monotonic() > deadline:
                self.stop()
                limit = f"{timeout_s} s (stage_service_start_timeout_s)"
                raise StageError(f"the stage did not answer within {limit}: {self._last_words()}")
            time.sleep(POLL_S)

    def _last_words(self) -> str:
        said = self.output_file.read_bytes()[-LAST_WORDS_BYTES:].decode(errors="replace").strip()
        return said or f"it said nothing; its log is {self.config['log_file']}"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)  # left by a killed start: in a small PID namespace numbers come again
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def _arguments(pid: int) -> list[str]:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it ended meanwhile
        return []


def _state(pid: int) -> str:
    """Give a process's state by the letters of proc(5); its name, which comes before, may hold anything."""
    try:
        told = (Path("/proc") / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return told.rpartition(")")[2].split()[0]
    except OSError:  # it ended meanwhile
        return ""


def reach(stage: Stage, options: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Bring the stage into the state asked for; give Ansible's result."""
    if options["state"] == "stopped":
        if check_mode:
            return {"changed": bool(stage.processes())}
        stopped = stage.stop()
        stage.forget()
        return {"changed": stopped}
    if check_mode and not stage.runtime.exists():
        return {"changed": True}
    tag = stage.tag(options["stamp"])
    if not check_mode:
        stage.end_what_stands_still()
    status = stage.control("status")
    if status is not None and status["tag"] == tag:
        return {"changed": False, "status": status}
    if check_mode:
        return {"changed": True}
    stage.stop()
    return {"changed": True, "status": stage.start(options["secret"], options["tls"], tag, options["timeout_s"])}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
            "config": {"type": "dict", "required": True},
            "python": {"type": "path", "required": True},
            "runtime": {"type": "path", "required": True},
            "secret": {"type": "str", "no_log": True},
            "tls": {
                "type": "dict",
                # of all of it: an option's own would look for the key's newlines in a text that writes them as \\n
                "no_log": True,
                "options": {
                    "authority": {"type": "str", "required": True},
                    "certificate": {"type": "str", "required": True},
                    "key": {"type": "str", "required": True, "no_log": True},
                },
            },
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
