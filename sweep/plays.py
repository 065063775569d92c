"""Run inner plays with ansible-runner; the only module that knows it.

ansible-runner ends a play that is cancelled or out of time with SIGKILL, so nothing here rests
on a play's own clean-up: stages, leases and the next condition's reset do that.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ansible_runner
import msgspec

from sweep.errors import CampaignError, PlayError
from sweep.places import CHECKOUT
from sweep.room import refuse_full_disk

_LONGEST_REASON = 600
_UNKNOWN_KEY = "Host key verification failed"
_TRUST = "playbooks/trust.yml"
# In characters; ansible-runner hands on {} for a result that is larger.  Its own limit of 700,000 is one cell of
# 3,000 batches with their samples.
_LARGEST_RESULT = 20_000_000


class PlayResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a play ended; ``failed`` and ``unreachable`` give each host's reason."""

    status: str
    log: Path
    failed: dict[str, str]
    unreachable: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every task of every host went well."""
        return self.status == "successful" and not self.failed and not self.unreachable

    @property
    def reasons(self) -> dict[str, str]:
        """Each host that did not get through, with its reason."""
        return {host: f"unreachable: {reason}" for host, reason in self.unreachable.items()} | self.failed


Result = Mapping[str, Any]


def reason_of(result: Result) -> str:
    """Pick out of a failed task's result what a reader needs."""
    parts = [str(result.get(key, "")).strip() for key in ("msg", "stderr", "module_stderr", "module_stdout")]
    chosen = [part for part in parts if part]
    if not chosen:
        chosen = [str(result.get("exception", "no reason given"))]
    text = " | ".join(dict.fromkeys(chosen[:2]))
    if _UNKNOWN_KEY in text:
        return (
            f"its SSH host key is not known: ansible-playbook {_TRUST} asks for it once; or it is another than before: "
            "if that is as it should be, first ssh-keygen -R ADDRESS"
        )
    return text if len(text) <= _LONGEST_REASON else "… " + text[-_LONGEST_REASON:]


class _Listener:
    """Sort ansible-runner's events into results, failures and hosts that did not answer.

    A failure that a ``rescue`` or ``ignore_errors`` caught looks like any other until the play's
    own count at its end, so that count decides.
    """

    def __init__(self, on_result: Callable[[str, str, Result], None]) -> None:
        self._on_result = on_result
        self.failed: dict[str, str] = {}
        self.unreachable: dict[str, str] = {}
        self.error: Exception | None = None

    def __call__(self, event: Mapping[str, Any]) -> bool:
        data = event.get("event_data", {})
        kind, host, result = event.get("event"), data.get("host", ""), data.get("res") or {}
        if kind == "runner_on_unreachable":
            self.unreachable[host] = reason_of(result)
        elif kind == "runner_on_failed" and data.get("ignore_errors"):
            self.failed.pop(host, None)  # its items did not say that they are ignored
        elif kind in {"runner_on_failed", "runner_item_on_failed"}:
            self.failed.setdefault(host, f"{data.get('task', '?')}: {reason_of(result)}")
        elif kind == "playbook_on_stats":
            self.failed = {host: reason for host, reason in self.failed.items() if host in data["failures"]}
            self.unreachable = {host: reason for host, reason in self.unreachable.items() if host in data["dark"]}
        if kind in {"runner_on_ok", "runner_item_on_ok"} and self.error is None:
            try:
                self._on_result(host, data.get("task", ""), result)
            except Exception as exc:  # noqa: BLE001 - ansible-runner would lose it; run_play raises it again
                self.error = exc
        return False


def _environment(artifacts: Path) -> dict[str, str]:
    """Give the inner play this checkout's configuration, and the programs of this Python.

    What it keeps for a while lies with its `artifacts`, which do not outlive it.
    """
    programs = str(Path(sys.executable).parent)
    return {
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(artifacts / "tmp"),
        "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner would switch it off
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_CALLBACK_PLUGINS": str(CHECKOUT / "playbooks" / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "driver_watch",
        "SPLITBED_DRIVER_PID": str(os.getpid()),
        "MAX_EVENT_RES": str(_LARGEST_RESULT),
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def run_play(
    playbook: str | Path,
    *,
    inventory: str,
    work: Path,
    variables: Mapping[str, Any],
    limit: str | None = None,
    on_result: Callable[[str, str, Result], None] = lambda _host, _task, _result: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> PlayResult:
    """Run ``playbooks/<playbook>.yml``, or the file that a Path names, and say how it ended.

    `on_result` gets (host, task, result) of every task or loop item that went well, as it ends;
    what it raises ends the play and is raised here.  The play's output is kept in `work` when
    the play did not go well, and removed otherwise.  Raises CampaignError where `work` lies on a full disk, before
    anything that the play says is lost for lack of room, and PlayError where the play ended without saying why.
    """
    listener = _Listener(on_result)
    path = playbook if isinstance(playbook, Path) else CHECKOUT / "playbooks" / f"{playbook}.yml"
    ident = f"{path.stem}-{uuid.uuid4().hex[:8]}"
    work = work.resolve()

    def is_over() -> bool:
        if listener.error is None:
            try:
                refuse_full_disk(work)  # on which what the play says would be lost
            except CampaignError as exc:
                listener.error = exc
        return listener.error is not None or cancelled()

    # Not as `extravars`, which ansible-runner puts on the command line, for all to see.
    variables_file = work / f"{ident}.json"
    try:
        work.mkdir(parents=True, exist_ok=True)
        refuse_full_disk(work)
        variables_file.touch(mode=0o600)
        variables_file.write_bytes(msgspec.json.encode(dict(variables)))
        runner = ansible_runner.run(
            private_data_dir=str(work),
            project_dir=str(CHECKOUT),
            playbook=str(path.resolve()),
            inventory=inventory,
            ident=ident,
            limit=limit,
            cmdline=f"-e @{shlex.quote(str(variables_file))}",
            envvars=_environment(work / "artifacts" / ident),
            settings={"pexpect_timeout": 1},
            event_handler=listener,
            cancel_callback=is_over,
            quiet=True,
            suppress_env_files=True,
            fact_cache=str(work / "artifacts" / ident / "fact_cache"),
        )
    except (OSError, ValueError) as exc:  # it cannot write, or read what it could not write whole
        raise CampaignError(f"{work}: a play cannot be followed ({exc}); free some space and run again") from exc
    finally:
        variables_file.unlink(missing_ok=True)
    log = work / f"{ident}.log"
    result = PlayResult(status=runner.status, log=log, failed=listener.failed, unreachable=listener.unreachable)
    _keep_log(work / "artifacts" / ident, log, keep=not result.ok)
    if listener.error is not None:
        raise listener.error
    if not result.ok and not result.reasons and not cancelled():
        raise PlayError(f"play `{path.stem}` ended as {runner.status} (rc {runner.rc}); its output: {log}")
    return result


def _keep_log(artifacts: Path, log: Path, *, keep: bool) -> None:
    """Keep the output alone: the rest of the artifacts holds the whole environment."""
    output = artifacts / "stdout"
    if keep and output.exists():
        with contextlib.suppress(OSError):  # a full disk is complained of by what matters more
            output.replace(log)
    shutil.rmtree(artifacts, ignore_errors=True)


def remove_leftovers(work: Path) -> None:
    """Remove what plays left under `work`, while none runs: killed ones their artifacts, all of them empty folders.

    The artifacts hold the whole environment.
    """
    for left in (*work.rglob("artifacts"), *work.rglob("*.json")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
    for folder in (*sorted((path for path in work.rglob("*") if path.is_dir()), reverse=True), work):
        with contextlib.suppress(OSError):  # it holds the log of a play that failed, or is not there
            folder.rmdir()
