"""The Ansible front end's two actions, without a play round them."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shlex
import subprocess
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from sweep.errors import OptionError
from sweep.extra_vars import refuse_unknown
from sweep.options import Options
from tests.sweep.support import small_testbed

PLUGINS = Path(__file__).parents[2] / "playbooks" / "action_plugins"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PLUGINS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CELL = load("splitbed_cell")
BLOCK = load("splitbed_block")
CELL_DATA = {"cell_id": "ab", "repeat": 1, "split": "it's P1", "transport": "tcp", "stages": [{"device": "v1"}]}
OVER_RPC = CELL_DATA | {"transport": "rpc", "stages": [{"device": "v1"}, {"device": "v2"}]}
UP = '{"world": {"state": "up", "reason": ""}}'


@pytest.mark.parametrize("name", ["device_home", "pi_venv_torch_index_url", "ansible_user"])
def test_extra_vars_of_inventory_roles_and_ansible_are_handed_on(name: str) -> None:
    refuse_unknown({name: 1}, small_testbed(), Options.__struct_fields__)


def test_an_extra_var_that_nobody_knows_is_refused_with_a_guess() -> None:
    with pytest.raises(OptionError, match=r"unknown extra var `modle`; did you mean `model`\? \(accepted: batch, "):
        refuse_unknown({"device_home": 1, "modle": "vgg16"}, small_testbed(), Options.__struct_fields__)


class Device:
    """A cell's action on a device that answers what it is told to."""

    def __init__(self, stop_file: Path) -> None:
        self.commands: list[str] = []
        self.answer: Any = {"rc": 0, "stdout": '{"status": "ok"}\n', "stderr": ""}
        self.arguments: dict[str, Any] = {
            "cell": CELL_DATA,
            "python": "/home/a b/python",
            "runtime": "/run time",
            "socket": "/s",
            "stop_file": str(stop_file),
            "driver_pid": str(os.getpid()),
            "worlds": {},
        }
        self.check_mode = False

    def _execute(self, command: str, *, sudoable: bool) -> Any:
        assert not sudoable
        self.commands.append(command)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def run(self) -> dict[str, Any]:
        task = SimpleNamespace(
            args=self.arguments, check_mode=self.check_mode, async_val=0, diff=False, environment=None, delegate_to=None
        )
        action = CELL.ActionModule.__new__(CELL.ActionModule)
        action._task = task
        action._low_level_execute_command = self._execute
        action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        action._supports_check_mode = True
        action._supports_async = False
        result: dict[str, Any] = action.run(task_vars={})
        return result


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "stop")


def test_a_cell_is_run_by_the_control_command_and_its_answer_handed_back(device: Device) -> None:
    device.answer["stdout"] = 'a banner\n{"status": "ok", "latency_ms": 2}\n'
    result = device.run()
    assert (result["cell_id"], result["repeat"]) == ("ab", 1)
    assert result["measurement"] == {"status": "ok", "latency_ms": 2}
    (command,) = device.commands
    words = shlex.split(command)
    assert words[:4] == ["/home/a b/python", "-I", "-S", "/run time/stage_runtime/control.py"]
    assert words[4:7] == ["--socket", "/s", "run"]
    assert json.loads(base64.b64decode(words[7])) == CELL_DATA


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (AnsibleConnectionFailure("gone"), "v1 is unreachable: gone"),
        ({"rc": 1, "stdout": "", "stderr": "no socket"}, "the control command on v1 ended with 1: no socket"),
        ({"rc": 1, "stdout": "{", "stderr": ""}, "ended with 1: {"),
        ({"rc": 0, "stdout": '{"pid": 1}', "stderr": ""}, "the stage on v1 answered {'pid': 1}"),
        ({"rc": 0, "stdout": "7", "stderr": ""}, "the stage on v1 answered 7"),
    ],
    ids=["unreachable", "nothing", "torn", "something else", "a number"],
)
def test_a_cell_that_cannot_be_run_is_a_failed_cell_and_no_failed_task(
    device: Device, answer: Any, reason: str
) -> None:
    device.answer = answer
    result = device.run()
    assert "failed" not in result
    assert result["measurement"]["status"] == "failed"
    assert result["measurement"]["failed_device"] == "v1"
    assert reason in result["measurement"]["reason"]


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        ({"rc": 0, "stdout": '{"status": "failed", "lost": true}', "stderr": ""}, True),
        ({"rc": 0, "stdout": '{"status": "failed", "lost": false}', "stderr": ""}, False),
        (AnsibleConnectionFailure("no route"), True),
    ],
)
def test_behind_a_cell_that_lost_a_device_none_is_run(device: Device, answer: Any, *, lost: bool) -> None:
    device.answer = answer
    assert device.run()["measurement"].get("lost", False) is lost
    assert Path(str(device.arguments["stop_file"])).exists() is lost
    assert device.run().get("skipped", False) is lost


def test_a_long_answer_is_cut_to_its_end(device: Device) -> None:
    device.answer = {"rc": 1, "stdout": "", "stderr": "x" * 10_000 + "the end"}
    reason = device.run()["measurement"]["reason"]
    assert reason.endswith("the end")
    assert len(reason) < 1000


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('{"world": {"state": "failed", "reason": "port taken"}}', "v2: port taken"),
        ('{"world": {"state": "joining", "reason": ""}}', "v2: joining"),
        ('{"world": null}', "v2: the stage does not tell how its world is"),
        ('a banner\n{"error": "no stage"}', "no stage"),
        ("", "v2: the stage does not tell how its world is: it says nothing"),
    ],
)
def test_without_a_world_cells_over_rpc_are_refused_and_others_run(device: Device, said: str, reason: str) -> None:
    device.arguments["worlds"] = {"v1": UP, "v2": said}
    assert device.run()["measurement"] == {"status": "ok"}
    device.arguments["cell"] = CELL_DATA | {"transport": "rpc"}
    assert device.run()["measurement"] == {"status": "ok"}, "a single stage talks to nobody"
    device.arguments["cell"] = OVER_RPC
    device.commands.clear()
    result = device.run()
    assert device.commands == []
    assert result["refused"]
    assert result["measurement"]["status"] == "failed"
    assert result["measurement"]["failed_device"] == "v2"
    assert reason in result["measurement"]["reason"]


@pytest.mark.parametrize("worlds", [{}, {"v1": f"a banner\n{UP}\n", "v2": UP}])
def test_cells_over_rpc_run_in_a_world_that_is_up_or_where_none_is_needed(
    device: Device, worlds: dict[str, str]
) -> None:
    device.arguments |= {"cell": OVER_RPC, "worlds": worlds}
    result = device.run()
    assert result["measurement"] == {"status": "ok"}
    assert "refused" not in result


def test_once_the_sweep_is_to_stop_no_cell_is_run(device: Device) -> None:
    Path(device.arguments["stop_file"]).touch()  # type: ignore[arg-type]  # the arguments are strings but for the cell
    result = device.run()
    assert result["skipped"]
    assert "measurement" not in result
    assert device.commands == []


def test_without_its_driver_no_cell_is_run(device: Device) -> None:
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    device.arguments["driver_pid"] = str(child.pid)
    assert device.run()["skipped"]


def test_check_mode_runs_no_cell(device: Device) -> None:
    device.check_mode = True
    assert device.run()["skipped"]


class Waiting:
    """A block's action, beside the files that it looks at."""

    def __init__(self, folder: Path) -> None:
        self.block, self.stop = folder / "0.json", folder / "stop"
        self.arguments = {"file": str(self.block), "stop_file": str(self.stop), "driver_pid": str(os.getpid())}
        self.check_mode = False

    def run(self) -> dict[str, Any]:
        action = BLOCK.ActionModule.__new__(BLOCK.ActionModule)
        action._task = SimpleNamespace(
            args=self.arguments, check_mode=self.check_mode, async_val=0, diff=False, environment=None
        )
        action._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        action._supports_check_mode = True
        action._supports_async = False
        result: dict[str, Any] = action.run(task_vars={})
        return result


@pytest.mark.parametrize(("comes", "wanted"), [("block", True), ("stop", False)])
def test_a_block_is_waited_for_until_it_is_there_or_the_sweep_is_to_stop(
    tmp_path: Path, comes: str, wanted: bool
) -> None:
    waiting = Waiting(tmp_path)
    timer = threading.Timer(0.1, getattr(waiting, comes).touch)
    timer.start()
    result = waiting.run()
    timer.join()
    assert result["wanted"] is wanted
    assert result["changed"] is False


def test_once_the_sweep_is_to_stop_a_block_that_is_there_is_not_wanted(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    waiting.block.touch()
    waiting.stop.touch()
    assert waiting.run()["wanted"] is False


def test_without_its_driver_or_in_check_mode_no_block_is_waited_for(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path)
    waiting.check_mode = True
    assert waiting.run()["wanted"] is False
    waiting.check_mode = False
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    waiting.arguments["driver_pid"] = str(child.pid)
    assert waiting.run()["wanted"] is False
