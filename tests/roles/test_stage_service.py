"""The role stage_service keeps one stage process running, and stops it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from sweep.certificates import new_certificates
from sweep.secret import tls_files
from sweep.testbed import Device
from tests.roles.local_hosts import PROJECT, LocalHosts, Played

SECRET = "0123456789abcdef" * 4


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHosts]:
    """Make a device with a runtime; stop its stage at the end."""
    folder = tmp_path_factory.mktemp("s")  # short, for the socket's path
    (folder / "secret").write_text(SECRET)
    made = LocalHosts(
        folder,
        device_python=sys.executable,
        data_address="127.0.0.1",
        stage_port=_free_port(),
        stage_service_secret_file=str(folder / "secret"),
    )
    runtime = made.home() / "runtime"
    runtime.mkdir(parents=True)
    (runtime / "stage_runtime").symlink_to(PROJECT / "stage_runtime")
    (runtime / ".digest").write_text("one")
    yield made
    if (made.home() / "run").exists():  # otherwise nothing was ever started
        ended = made.role("stage_service", tasks_from="stop")
        assert ended.status == 0, ended.output
    assert _status(made) is None


def _status(hosts: LocalHosts, operation: str = "status") -> Any:
    """Ask the stage itself."""
    control = PROJECT / "stage_runtime" / "control.py"
    words = [sys.executable, "-I", "-S", str(control), "--socket", str(hosts.home() / "run" / "stage.sock"), operation]
    done = subprocess.run(words, capture_output=True, check=False, timeout=20)
    return json.loads(done.stdout) if done.returncode == 0 else None


def _running(hosts: LocalHosts, played: Played) -> int:
    """Give the running stage's process, after a play that must have succeeded."""
    assert played.status == 0, played.output
    status = _status(hosts)
    assert status is not None, played.output
    assert status["device"] == "d1"
    return int(status["pid"])


def test_a_stage_is_started_once_and_replaced_when_anything_changed(hosts: LocalHosts) -> None:
    checked = hosts.role("stage_service", check_mode=True)
    assert checked.changed == {"d1": 1}
    assert _status(hosts) is None, "check mode started a stage"

    started = hosts.role("stage_service")
    assert started.changed == {"d1": 1}
    first = _running(hosts, started)
    assert os.getsid(first) == first, "it would end with the session that started it"
    secret = hosts.home() / "run" / "secret"
    assert secret.read_text() == SECRET
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert SECRET not in started.output

    again = hosts.role("stage_service")
    assert again.changed == {"d1": 0}
    assert not again.task_ran("Start the stage"), "the quick question must do"
    assert _running(hosts, again) == first

    world = {"stage_service_world_id": "w1", "stage_service_world_devices": ["d1"], "rpc_port": _free_port()}
    second = _running(hosts, hosts.role("stage_service", **world))
    assert second != first
    assert _status(hosts, "world")["world"] == {"state": "up", "reason": ""}
    (hosts.home() / "runtime" / ".digest").write_text("two")
    third = _running(hosts, hosts.role("stage_service", **world))
    assert third != second

    stopped = hosts.role("stage_service", tasks_from="stop")
    assert stopped.changed == {"d1": 1}
    assert _status(hosts) is None
    assert hosts.role("stage_service", tasks_from="stop").changed == {"d1": 0}


def test_a_stage_that_stands_still_is_replaced_without_waiting_for_it(hosts: LocalHosts) -> None:
    first = _running(hosts, hosts.role("stage_service"))
    os.kill(first, signal.SIGSTOP)
    second = _running(hosts, hosts.role("stage_service"))
    assert second != first


def test_of_a_stage_that_was_killed_neither_secret_nor_socket_stays(hosts: LocalHosts) -> None:
    os.kill(_running(hosts, hosts.role("stage_service")), signal.SIGKILL)
    run = hosts.home() / "run"
    (run / ".secret.123").write_text("half of it")  # of a start that was killed
    left = {run / name for name in ("secret", "stage.sock", ".secret.123")}
    assert all(path.exists() for path in left)
    assert hosts.role("stage_service", tasks_from="stop").status == 0
    assert not any(path.exists() for path in left)


def test_a_port_in_use_is_named_with_its_process(hosts: LocalHosts) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = hosts.role("stage_service", stage_port=port)
    assert refused.status != 0
    assert "d1: the stage ended with status 3 while starting" in refused.message
    assert f"{port}" in refused.message
    assert f"pid {os.getpid()}" in refused.message
    assert not (hosts.home() / "run" / "secret").exists()


def test_a_stage_that_crashes_is_told_in_its_own_words(hosts: LocalHosts) -> None:
    runtime = hosts.home() / "runtime"
    (runtime / "stage_runtime").unlink()
    (runtime / "stage_runtime").mkdir()
    (runtime / "stage_runtime" / "stage.py").write_text("raise SystemExit('no torch here')")
    shutil.copy(PROJECT / "stage_runtime" / "control.py", runtime / "stage_runtime")
    refused = hosts.role("stage_service")
    assert refused.status != 0
    assert "d1: the stage ended with status 1 while starting: no torch here" in refused.message


def test_a_silent_stage_is_given_up_and_killed(hosts: LocalHosts) -> None:
    runtime = hosts.home() / "runtime"
    (runtime / "stage_runtime").unlink()
    (runtime / "stage_runtime").mkdir()
    (runtime / "stage_runtime" / "stage.py").write_text("import time\ntime.sleep(60)")
    refused = hosts.role("stage_service", stage_service_start_timeout_s=1)
    assert refused.status != 0
    assert "d1: the stage did not answer within 1 s (stage_service_start_timeout_s)" in refused.message
    assert hosts.role("stage_service", tasks_from="stop").changed == {"d1": 0}, "it was left running"


def test_a_device_without_runtime_is_told_to_be_provisioned(hosts: LocalHosts) -> None:
    (hosts.home() / "runtime" / ".digest").unlink()
    refused = hosts.role("stage_service")
    assert refused.status != 0
    assert f"d1: {hosts.home()}/runtime holds no runtime; provision the device first" in refused.message


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stage_service_world_devices": ["d2"]}, "world w1 of d2"),
        ({"stage_service_world_devices": ["d1", "nobody"]}, "world w1 of d1, nobody"),
        ({"rpc_port": 0}, "at port 0"),
    ],
)
def test_a_world_that_cannot_be_is_refused(hosts: LocalHosts, given: dict[str, Any], said: str) -> None:
    world = {"stage_service_world_id": "w1", "stage_service_world_devices": ["d1"], "rpc_port": 47302}
    refused = hosts.role("stage_service", **(world | given))
    assert refused.status != 0
    assert "d1: cannot join the RPC world w1" in refused.message
    assert said in refused.message
    assert not (hosts.home() / "run").exists()


def test_neither_secret_nor_key_is_in_the_devices_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every module writes what it was asked for to its device's log, which more users may read than the files."""
    path = PROJECT / "roles" / "stage_service" / "library" / "stage_process.py"
    spec = importlib.util.spec_from_file_location("stage_process", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    logged: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _, text, log_args=None: logged.append(f"{text} {log_args}"))
    key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8Q\n-----END PRIVATE KEY-----"
    config = {name: str(tmp_path / name) for name in ("control_socket", "secret_file", "log_file")} | {"device": "d1"}
    told = {
        "state": "stopped", "config": config, "python": sys.executable, "runtime": str(tmp_path), "secret": SECRET,
        "tls": {"authority": "of the campaign", "certificate": "of d1", "key": key}, "_ansible_check_mode": True,
    }  # fmt: skip
    with patch_module_args(told), pytest.raises(SystemExit):
        module.main()
    assert logged, "nothing was logged: the test would see nothing"
    for text in (*logged, capsys.readouterr().out):
        assert SECRET not in text
        assert key.splitlines()[1] not in text


def test_a_short_secret_is_refused(hosts: LocalHosts) -> None:
    refused = hosts.role("stage_service", stage_service_secret="swordfish")  # noqa: S106  (not one of ours)
    assert refused.status != 0
    assert "d1: the stage cannot start with a secret of 9 characters" in refused.message
    assert not (hosts.home() / "run").exists()


def test_certificates_are_delivered_for_the_owner_alone_and_removed_with_the_secret(hosts: LocalHosts) -> None:
    made = Device(name="d1", kind="pi", data_address="127.0.0.1", stage_port=0, home="", cpus=None, cores=())
    run = hosts.home() / "run"
    keys = {run / name for name in ("secret", "authority.pem", "certificate.pem", "key.pem")}
    with new_certificates(hosts.folder, [made]) as place:
        started = hosts.role("stage_service", stage_service_tls_folder=str(place))
        first = _running(hosts, started)
        assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
        key = Path(tls_files(place, "d1").key).read_text().strip()
        assert (run / "key.pem").read_text() == key
        assert not any(line in started.output for line in key.splitlines() if not line.startswith("-----"))
        assert _running(hosts, hosts.role("stage_service", stage_service_tls_folder=str(place))) == first
        world = {"stage_service_world_id": "w1", "stage_service_world_devices": ["d1"], "rpc_port": 47302}
        refused = hosts.role("stage_service", stage_service_tls_folder=str(place), **world)
    assert refused.status != 0
    assert "under TLS, which RPC cannot do" in refused.message
    without = hosts.role("stage_service")
    assert _running(hosts, without) != first
    assert {path for path in keys if path.exists()} == {run / "secret"}, "a key that nothing uses any more"
    assert hosts.role("stage_service", tasks_from="stop").status == 0
    assert not any(path.exists() for path in keys)
