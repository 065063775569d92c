"""What codecs do to a trained network's answers; random weights would prove nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stage_runtime.codecs import affine
from stage_runtime.formats.cell import CodecName
from stage_runtime.formats.manifest import Manifest
from stage_runtime.formats.row import Measurement
from stage_runtime.formats.stage_config import StageConfig
from stage_runtime.inputs.__main__ import main as make_inputs
from stage_runtime.references.__main__ import main as make_reference
from stage_runtime.references.places import TENSOR
from stage_runtime.shards.__main__ import main as make_shards
from stage_runtime.shards.store import ShardStore
from stage_runtime.stage.assembly import build_workplace
from stage_runtime.stage.service import Service
from stage_runtime.transports.memory import MemoryTransport
from tests.stage_runtime.codecs.digits import MODEL, PIXELS, TESTED, train, write_pictures
from tests.stage_runtime.stage.processes import make_cell, stage_config

SECRET = b"0123456789abcdef"
BATCH, WARMUP = 8, 2


@dataclass
class Trained:
    """Three stages that hold the trained network, what it gives for the tested digits, and what they are."""

    configs: list[StageConfig]
    first: Service
    manifest: Manifest
    inputs_id: str
    reference: torch.Tensor
    labels: torch.Tensor
    output: Path

    def run(self, cut: tuple[int, ...], codec: CodecName) -> Measurement:
        """Run all tested digits through a cut, with the codec on every hop."""
        cell = make_cell(
            self.configs,
            self.manifest,
            cut,
            codec=codec,
            inputs_id=self.inputs_id,
            batch=BATCH,
            warmup=WARMUP,
            batches=TESTED // BATCH - WARMUP,
            window=2,
        )
        return self.first.lead(cell, self.output).measure()

    def right(self, outputs: torch.Tensor) -> float:
        """Give the share of the last of the tested digits that outputs name rightly."""
        labels = self.labels[:TESTED][-len(outputs) :]
        return float((outputs.argmax(dim=1) == labels).float().mean())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("trained")
    cache, weights = folder / "cache", folder / "digits.pth"
    paths, labels = write_pictures(folder / "pictures")
    train(paths, labels, weights)
    model = ["--model", MODEL, "--granularity", "all", "--weights", str(weights), "--num-classes", "10"]
    size = ["--size", str(PIXELS)]
    manifest_id = answer_of(folder, make_shards, [*model, *size])["manifest_id"]
    pictures = ["--source", str(folder / "pictures" / "tested"), "--count", str(TESTED)]
    inputs_id = answer_of(folder, make_inputs, [*pictures, *size])["inputs_id"]
    made = answer_of(folder, make_reference, ["--manifest-id", manifest_id, "--inputs-id", inputs_id])
    network, configs, services = MemoryTransport(), [], []
    for number in (1, 2, 3):
        config = stage_config(folder, cache, number, SECRET)
        listener = network.listen(config.data_address, config.port)
        workplace = build_workplace(config, network, SECRET)
        # stages trace a model when they first load it, which torch can do for one at a time in a process
        workplace.engines.load("eager", manifest_id, 0, 1, BATCH)
        service = Service(config, workplace, listener, SECRET)
        threading.Thread(target=service.accept_neighbours, daemon=True).start()
        configs.append(config)
        services.append(service)
    yield Trained(
        configs=configs,
        first=services[0],
        manifest=ShardStore(cache / "shards").manifest(manifest_id),
        inputs_id=inputs_id,
        reference=load_file(made["path"])[TENSOR],
        labels=labels,
        output=folder / "output.safetensors",
    )
    for service in services:
        service.stop("the test is over")
        service.shut_down()


def answer_of(folder: Path, command: object, told: list[str]) -> dict[str, str]:
    """Run a command's ``make`` and read what it prints."""
    with pytest.MonkeyPatch.context() as patch:
        said = (folder / "said").open("w+")
        patch.setattr("sys.stdout", said)
        assert command(["make", "--cache", str(folder / "cache"), *told]) == 0
        said.seek(0)
        answer: dict[str, str] = json.loads(said.read())
        said.close()
    return answer


def cuts_of(manifest: Manifest) -> list[tuple[int, ...]]:
    """Give four cuts in two, early to late, and one in three."""
    last = len(manifest.blocks)
    return [*((last * part // 5,) for part in (1, 2, 3, 4)), (last // 3, last * 2 // 3)]


def test_the_network_has_learnt_the_digits(trained: Trained) -> None:
    assert trained.manifest.weights.kind == "file"
    assert trained.reference.shape == (TESTED, 10)
    assert trained.right(trained.reference) > 0.9


@pytest.mark.parametrize(
    ("codec", "agreement", "error"),
    [("none", 1.0, 1e-5), ("lossless", 1.0, 1e-5), ("fp16", 0.99, 2e-3), ("int8", 0.98, 0.03)],
)
def test_its_answers_come_through_every_codec(
    trained: Trained, codec: CodecName, agreement: float, error: float
) -> None:
    unsplit = trained.right(trained.reference[WARMUP * BATCH :])
    for cut in cuts_of(trained.manifest):
        measured = trained.run(cut, codec)
        assert measured.status == "ok", (cut, measured.reason)
        assert measured.top1_agreement is not None
        assert measured.relative_error is not None
        assert measured.top1_agreement >= agreement, cut
        assert measured.relative_error <= error, cut
        assert trained.right(load_file(trained.output)["output"]) >= unsplit - 0.02, cut


def test_a_codec_that_is_too_coarse_shows(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    (cut,) = cuts_of(trained.manifest)[1:2]
    well = trained.run(cut, "int8")
    monkeypatch.setattr(affine, "_STEPS", 2)
    coarse = trained.run(cut, "int8")
    assert coarse.status == well.status == "ok"
    assert coarse.relative_error is not None
    assert well.relative_error is not None
    assert coarse.top1_agreement is not None
    assert coarse.relative_error > 10 * well.relative_error
    assert coarse.top1_agreement < 0.97
