"""Getting ready on the control node: what the runtime's own commands are asked, and what they answer."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sweep.errors import OptionError
from sweep.making import make_graphs, make_inputs, make_reference, make_shards
from sweep.places import CACHE
from tests.sweep.support import manifest, options


class Commands:
    """Answer commands that were to be run, and remember them."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.answer = subprocess.CompletedProcess([], 0, "", "")

    def __call__(self, command: list[str], **_settings: Any) -> subprocess.CompletedProcess[str]:
        self.seen.append(command)
        return self.answer

    def option(self, name: str) -> str:
        (command,) = self.seen
        return command[command.index(name) + 1]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    fake = Commands()
    monkeypatch.setattr("sweep.making.subprocess.run", fake)
    return fake


@pytest.mark.parametrize("names", ["the folder", "the file"])
def test_shards_are_asked_for_and_their_manifest_read(tmp_path: Path, commands: Commands, names: str) -> None:
    content = manifest("vgg16")
    path = tmp_path / "manifest.json"
    path.write_bytes(msgspec.json.encode(content))
    answer = {"manifest_id": "m", "path": str(tmp_path if names == "the folder" else path), "changed": False}
    commands.answer.stdout = "a line of torch's\n" + msgspec.json.encode(answer).decode() + "\n"
    assert make_shards(options(model="vgg16", num_classes=10, seed=3), "vgg16") == content
    (command,) = commands.seen
    assert command[1:4] == ["-m", "stage_runtime.shards", "make"]
    asked = [commands.option(f"--{name}") for name in ("model", "granularity", "weights", "num-classes", "seed")]
    assert asked == ["vgg16", "paper", "seeded", "10", "3"]
    assert commands.option("--cache") == str(CACHE)


def test_inputs_are_as_large_as_the_model_wants_and_as_many_as_a_batch(commands: Commands) -> None:
    commands.answer.stdout = '{"inputs_id": "i", "path": "p", "changed": true}\n'
    assert make_inputs(options(batch="1,32,8"), manifest()) == "i"
    assert [commands.option(f"--{name}") for name in ("source", "size", "count")] == ["default", "224", "32"]


def test_reference_outputs_are_asked_for_by_model_and_inputs(commands: Commands) -> None:
    commands.answer.stdout = '{"manifest_id": "m", "inputs_id": "i", "path": "p", "changed": true}\n'
    make_reference(manifest("alexnet"), "some-inputs")
    (command,) = commands.seen
    assert command[1:4] == ["-m", "stage_runtime.references", "make"]
    assert [commands.option(name) for name in ("--manifest-id", "--inputs-id")] == ["alexnet-manifest", "some-inputs"]


def test_graphs_are_asked_for_range_by_range(commands: Commands) -> None:
    commands.answer.stdout = '{"manifest_id": "m", "path": "p", "changed": true}\n'
    make_graphs(manifest("alexnet"), [(3, 13), (0, 3), (3, 13)])
    (command,) = commands.seen
    assert command[1:4] == ["-m", "stage_runtime.graphs", "make"]
    assert commands.option("--manifest-id") == manifest("alexnet").manifest_id
    begin = command.index("--ranges") + 1
    assert command[begin : begin + 3] == ["0-3", "3-13", "--cache"]


def test_what_cannot_be_made_is_refused_with_the_reason_alone(commands: Commands) -> None:
    commands.answer.returncode = 2
    commands.answer.stderr = "Traceback of something\nerror: alexnet has no weights `X`\n"
    with pytest.raises(OptionError) as caught:
        make_shards(options(), "alexnet")
    assert str(caught.value) == "alexnet has no weights `X`"
    commands.answer.stderr = ""
    with pytest.raises(OptionError, match="no reason given"):
        make_shards(options(), "alexnet")


@pytest.mark.parametrize("answer", ["", "not json\n", '{"changed": 1}\n'])
def test_an_answer_that_cannot_be_read_is_an_error_with_its_command(commands: Commands, answer: str) -> None:
    commands.answer.stdout = answer
    with pytest.raises(OptionError, match=r"stage_runtime\.shards"):
        make_shards(options(), "alexnet")
