"""Stage processes as children: those that do not come up, and control commands that do not answer."""

from __future__ import annotations

import dataclasses
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from stage_runtime.formats.stage_config import StageConfig
from sweep.direct.confine import Confinement
from sweep.direct.stages import Keeper, Stage
from sweep.errors import StageError
from sweep.matrix import plan_matrix
from tests.stage_runtime.stage.processes import free_port
from tests.sweep.support import cell_of, options, small_testbed

FREE = Confinement(device="v1", asked=None, cores=(), group=None, threads=0)


@dataclasses.dataclass
class Maker:
    """Make stages in a folder."""

    folder: Path
    keeper: Keeper

    def __call__(self, *, port: int, confinement: Confinement = FREE, secret: Path | None = None) -> Stage:
        own = self.folder / "secret"
        own.write_text(secrets.token_hex(32))
        own.chmod(0o600)
        return Stage(
            StageConfig(
                device="v1",
                data_address="127.0.0.1",
                port=port,
                control_socket=str(self.folder / "stage.sock"),
                shards_dir=str(self.folder / "shards"),
                inputs_dir=str(self.folder / "inputs"),
                secret_file=str(secret or own),
                log_file=str(self.folder / "stage.log"),
                lease_file=str(self.folder / "lease"),
                accelerator="cpu",
            ),
            confinement,
            self.keeper,
        )


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Maker]:
    keeper = Keeper()
    yield Maker(tmp_path, keeper)
    keeper.close()


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def refusal(stage: Stage, cancelled: Callable[[], bool] = lambda: False) -> str:
    stage.start()
    try:
        with pytest.raises(StageError) as caught:
            stage.await_ready(cancelled)
    finally:
        stage.stop()
    assert caught.value.device == "v1"
    assert not stage.alive
    return str(caught.value)


def test_a_port_in_use_is_told_with_the_option_that_moves_it(make: Maker, busy_port: int) -> None:
    said = refusal(make(port=busy_port))
    assert said.startswith("the stage ended with status 3 while starting")
    assert str(busy_port) in said
    assert "here: port=NUMBER" in said


def test_a_configuration_that_cannot_be_used_is_told(make: Maker, busy_port: int) -> None:
    assert "secret file" in refusal(make(port=busy_port, secret=Path("/nowhere")))


def test_a_confinement_that_cannot_be_had_is_told(make: Maker, busy_port: int) -> None:
    nowhere = msgspec.structs.replace(FREE, group="/nowhere")
    assert "status 120 while starting: launch:" in refusal(make(port=busy_port, confinement=nowhere))


def test_waiting_ends_when_the_sweep_does(make: Maker) -> None:
    began = time.monotonic()
    # a stage takes seconds to be ready, and is not waited for
    assert refusal(make(port=free_port("127.0.0.1")), cancelled=lambda: True) == "the sweep was stopped"
    assert time.monotonic() - began < 60


def test_a_cell_on_a_stage_that_is_not_there_fails_and_names_it(make: Maker) -> None:
    stage = make(port=1)
    (make.folder / "stage.out").write_text("Killed by somebody\n")
    (plan,) = plan_matrix(options(), small_testbed(), {"alexnet": tuple(range(1, 13))}, {})
    measured = stage.run(cell_of(plan.runs[0], small_testbed()), lambda: False)
    assert (measured.status, measured.failed_device) == ("failed", "v1")
    assert "no stage runs on this device" in measured.reason
    assert "its stage has ended: Killed by somebody" in measured.reason
