"""The command line: words in, an exit status and one clear error out."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.__main__ import _complete, build_parser, main
from sweep.field import Field
from sweep.interrupt import Control
from sweep.options import OPTION_HELP, Options
from sweep.play_field import PlayField
from sweep.rich_screen import RichScreen
from sweep.testbed import Testbed as Bed  # pytest takes a module's name in Test* for tests


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Sweep:
    """Stand in for the driver."""

    def __init__(self) -> None:
        self.options: Options | None = None
        self.testbed: Bed | None = None
        self.command: list[str] = []
        self.control: Control | None = None
        self.status = 0

    def __call__(
        self, options: Options, testbed: Bed, screen: object, control: Control, *, command: list[str], field: Field
    ) -> int:
        assert isinstance(screen, RichScreen)
        assert isinstance(field, PlayField)
        self.options, self.testbed, self.control, self.command = options, testbed, control, command
        return self.status


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch) -> Sweep:
    fake = Sweep()
    monkeypatch.setattr("sweep.__main__.sweep", fake)
    return fake


def test_words_reach_the_driver_as_options(sweep: Sweep) -> None:
    assert main(["run", "model=VGG16,alexnet", "batch=1,8", "fresh=true"]) == 0
    assert sweep.options == Options(model=("vgg16", "alexnet"), batch=(1, 8), fresh=True)
    assert sweep.testbed is not None
    assert "pi_to_pi" in sweep.testbed.chains, "the checkout's inventory is the default"
    assert sweep.command == ["python", "-m", "sweep", "run", "model=VGG16,alexnet", "batch=1,8", "fresh=true"]


def test_plan_is_a_dry_run(sweep: Sweep) -> None:
    assert main(["plan", "model=vgg16"]) == 0
    assert sweep.options is not None
    assert sweep.options.dry_run


@pytest.mark.parametrize("status", [0, 1, 3])
def test_the_drivers_status_is_the_commands(sweep: Sweep, status: int) -> None:
    sweep.status = status
    assert main(["run", "model=vgg16"]) == status


def test_an_interrupt_reaches_the_control(sweep: Sweep) -> None:
    main(["run", "model=vgg16"])
    assert sweep.control is not None
    for cancelled in (False, True):
        signal.raise_signal(signal.SIGINT)
        assert sweep.control.finishing
        assert sweep.control.cancelled() is cancelled


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "option `model` is missing"),
        (["model=vgg17"], "did you mean `vgg16`?"),
        (["model=vgg16", "chain=pi_to_pi"], "unknown option `chain`; did you mean `chains`?"),
        (["vgg16"], "not of the form key=value"),
        (["model=vgg16", "inventory=nowhere.yml"], "no inventory at `nowhere.yml`"),
        (["model=vgg16", "chains=pi_to_pie"], "unknown chain `pi_to_pie`; did you mean `pi_to_pi`?"),
        (["model=vgg16", "networks=wify"], "unknown network condition `wify`; did you mean `wifi`?"),
        (["model=vgg16", "splits=P31"], "vgg16 has no split point P31 (it has P1 to P30)"),
        (["model=vgg16", "splits=P1+P2", "chains=pi_to_pi"], "makes 3 stages"),
    ],
)
def test_a_typo_gets_one_error_and_status_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert main(["run", *words, f"results={results}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert said in error
    assert not results.exists()


def test_help_teaches_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for name, text in OPTION_HELP.items():
        assert name in shown
        assert text in shown
    assert "exit status" in shown
    assert "python -m sweep run model=" in shown
    assert "measured batches per run (default: 16)" in " ".join(shown.split())


def test_tab_completes_options_and_models() -> None:
    assert {"model=", "networks=", "inventory="} <= set(_complete(""))
    assert "model=vgg16" in _complete("model=v")
    assert _complete("budget=") == ["budget=quick", "budget=normal", "budget=paper"]
    assert "transports=tcp,rpc" in _complete("transports=t")
