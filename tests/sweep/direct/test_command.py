"""The command line of ``python -m sweep direct``: what it refuses, and what it needs."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from stage_runtime.models.names import PAPER
from sweep.__main__ import main
from sweep.direct.command import EXIT_BAD_INPUT
from sweep.options import Options
from sweep.places import CHECKOUT
from sweep.testbed import Testbed as Bed  # pytest takes a module's name in Test* for tests

DEVICES = "devices=sbG1:cpu:0.5,sbG2:cpu"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Options, Bed, list[str]]]:
    calls: list[tuple[Options, Bed, list[str]]] = []

    def fake(options: Options, testbed: Bed, *_others: object, command: list[str], field: Any) -> int:
        assert field.warnings(()) == ()
        calls.append((options, testbed, command))
        return 3

    monkeypatch.setattr("sweep.direct.command.sweep", fake)
    return calls


def test_words_reach_the_driver(asked: list[tuple[Options, Bed, list[str]]]) -> None:
    words = ["model=vgg16", DEVICES, "budget=quick", "port=50000", "chain=mine"]
    assert main(["direct", *words]) == 3
    ((options, testbed, command),) = asked
    assert options == Options(model=("vgg16",), budget="quick", repeats=1, most_repeats=1, cell_s=6.0, report=False)
    assert testbed.chains == {"mine": ("sbG1", "sbG2")}
    assert testbed.devices["sbG1"].stage_port == 50001
    assert command == ["python", "-m", "sweep", "direct", *words]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=vgg16"], "option `devices` is missing; remedy: devices=pi1:cpu:0.5,gpu1:cuda"),
        ([DEVICES], "option `model` is missing"),
        (["model=vgg16", DEVICES, "inventory=x"], "unknown option `inventory`"),
        (["model=vgg16", DEVICES, "networks=lan", "dry_run=true"], "unknown network condition `lan`"),
        (["model=vgg16", DEVICES, "splits=P1+P2"], "makes 3 stages"),
    ],
)
def test_bad_words_are_refused(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["direct", *words]) == EXIT_BAD_INPUT
    assert said in capsys.readouterr().err


def test_the_commands_of_the_document_are_accepted(
    asked: list[tuple[Options, Bed, list[str]]], made: list[str]
) -> None:
    assert made == []
    text = (CHECKOUT / "docs" / "gpu.md").read_text()
    every = re.search(r"^\$ (ALL=\S+)", text, flags=re.MULTILINE)
    assert every is not None
    commands = re.findall(r"^\$ python3 -m sweep (direct .*)$", text, flags=re.MULTILINE)
    sweeps = [line.replace("$ALL", every[1].removeprefix("ALL=")).split() for line in commands if " check " not in line]
    assert len(commands) == len(sweeps) + 1
    for words in sweeps:
        # where the photographs are carried to, there is nothing here
        assert main([word for word in words if not word.startswith("inputs=")]) == 3
    assert all(set(options.model) == set(PAPER) for options, _, _ in asked)


def test_settling_without_scipy_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweep.direct.command.importlib.util.find_spec", lambda _name: None)
    assert main(["direct", "model=vgg16", DEVICES]) == EXIT_BAD_INPUT
    assert "needs scipy" in capsys.readouterr().err


def test_it_needs_neither_ansible_nor_what_draws() -> None:
    missing = ["ansible", "ansible_runner", "yaml", "rich", "argcomplete", "scipy", "pandas", "pyarrow", "moocore"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing}))\n"
        "from sweep.__main__ import main\n"
        "from sweep.terminal import open_screen\n"
        "with open_screen() as screen: screen.line('a plain line')\n"
        f"sys.exit(main(['direct', 'model=vgg16', '{DEVICES}', 'networks=lan', 'budget=quick']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.stderr == "error: unknown network condition `lan` (accepted: loopback)\n"
    assert (done.stdout, done.returncode) == ("a plain line\n", EXIT_BAD_INPUT)
