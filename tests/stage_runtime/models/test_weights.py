from __future__ import annotations

import importlib
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from stage_runtime.errors import ModelError
from stage_runtime.files import sha256_of
from stage_runtime.models import weights as weights_module
from stage_runtime.models import zoo
from stage_runtime.models.weights import apply_weights, find_weights


def _state(name: str, **options: Any) -> OrderedDict[str, torch.Tensor]:
    state: OrderedDict[str, torch.Tensor] = zoo.build_seeded(name, 7, **options).state_dict()
    return state


def _applied(name: str, source: str, *, num_classes: int = 10, seed: int = 0) -> nn.Module:
    model = zoo.build_seeded(name, seed, num_classes=num_classes)
    apply_weights(name, model, find_weights(name, source, seed, num_classes), num_classes)
    return model


def _equal(model: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    own = model.state_dict()
    return own.keys() == state.keys() and all(torch.equal(own[name], state[name]) for name in own)


def test_seeded_weights_are_the_same_again_and_leave_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (_applied("squeezenet1_1", "seeded", seed=seed) for seed in (3, 3, 4))
    assert _equal(again, first.state_dict())
    assert not _equal(other, first.state_dict())
    assert torch.equal(torch.random.get_rng_state(), before)
    record = find_weights("squeezenet1_1", "seeded", 3, 10).record
    assert (record.kind, record.seed, record.name, record.sha256) == ("seeded", 3, None, None)


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "model", "parallel"])
def test_a_pth_file_is_read(tmp_path: Path, wrap: str) -> None:
    state = _state("resnet18", num_classes=10)
    content: Any = state
    if wrap == "parallel":
        content = OrderedDict((f"module.{name}", value) for name, value in state.items())
    elif wrap != "plain":
        content = {wrap: state, "epoch": 3}
    path = tmp_path / "own.pth"
    torch.save(content, path)
    assert _equal(_applied("resnet18", str(path)), state)
    record = find_weights("resnet18", str(path), 0, 10).record
    assert (record.kind, record.name, record.sha256, record.seed) == ("file", "own.pth", sha256_of(path), None)


@pytest.mark.parametrize("name", ["resnet18", "mnasnet0_5"])
def test_a_safetensors_file_is_read(tmp_path: Path, name: str) -> None:
    state = _state(name, num_classes=10)
    path = tmp_path / "own.safetensors"
    save_file(state, path)
    assert _equal(_applied(name, str(path)), state)


def test_densenets_old_names_are_understood(tmp_path: Path) -> None:
    state = _state("densenet121", num_classes=10)
    old = OrderedDict(
        (name.replace("norm1", "norm.1").replace("conv2", "conv.2") if "denselayer" in name else name, value)
        for name, value in state.items()
    )
    assert old.keys() != state.keys()
    torch.save(old, tmp_path / "old.pth")
    assert _equal(_applied("densenet121", str(tmp_path / "old.pth")), state)


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_file(_state("resnet18", num_classes=1000), path)
    with pytest.raises(ModelError, match=r"resnet18 with 10 classes; wrong shapes: .*fc.weight is \(1000, 512\)"):
        _applied("resnet18", str(path))
    state = _state("resnet18", num_classes=10)
    del state["layer1.0.conv1.weight"]
    save_file(state, path)
    with pytest.raises(ModelError, match=r"own.safetensors do not fit resnet18.*missing: layer1.0.conv1.weight;"):
        _applied("resnet18", str(path))
    save_file(_state("resnet18", num_classes=10) | {"fc.scale": torch.ones(1)}, path)
    with pytest.raises(ModelError, match=r"unknown to the model: fc.scale"):
        _applied("resnet18", str(path))
    save_file(_state("squeezenet1_1", num_classes=10), path)
    with pytest.raises(ModelError, match=r"and [0-9]+ more"):
        _applied("resnet18", str(path))


class _Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def test_a_pth_file_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": _Payload()}, "bad.pth")
    with pytest.raises(ModelError, match=r"bad.pth cannot be read as weights"):
        _applied("resnet18", "bad.pth")
    assert not Path("ran").exists()


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps([1, 2], protocol=2)])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"bad{suffix} (cannot be read as weights|holds no tensors by name)"):
        _applied("resnet18", str(path))


def test_weights_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ModelError, match=r"no weights file at .*nowhere.pth"):
        find_weights("resnet18", "nowhere.pth", 0, 10)
    with pytest.raises(ModelError, match="resnet18 has no weights 'V9'; one of: seeded, IMAGENET1K_V1, DEFAULT"):
        find_weights("resnet18", "V9", 0, 10)
    with pytest.raises(ModelError, match="own:model has no weights 'DEFAULT'; one of: seeded, or a local"):
        find_weights("own:model", "DEFAULT", 0, 10)


def _publish(monkeypatch: pytest.MonkeyPatch, name: str, state: dict[str, torch.Tensor]) -> None:
    """Let torchvision's download of this model's weights give ``state``."""
    zoo.import_torchvision()
    kind = importlib.import_module("torchvision.models").get_model_weights(name)
    monkeypatch.setattr(kind, "get_state_dict", lambda _self, **_options: OrderedDict(state))


def test_published_weights_come_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    state = _state("resnet18")
    _publish(monkeypatch, "resnet18", state)
    for source in ("IMAGENET1K_V1", "DEFAULT", "ResNet18_Weights.IMAGENET1K_V1"):
        assert _equal(_applied("resnet18", source, num_classes=1000), state)
        record = find_weights("resnet18", source, 5, 1000).record
        assert (record.kind, record.name, record.seed) == ("torchvision", "IMAGENET1K_V1", None)


def test_published_weights_with_other_classes_get_a_seeded_head(monkeypatch: pytest.MonkeyPatch) -> None:
    state = _state("resnet18")
    _publish(monkeypatch, "resnet18", state)
    model = _applied("resnet18", "DEFAULT", num_classes=10, seed=5)
    own = model.state_dict()
    fresh = zoo.build_seeded("resnet18", 5, num_classes=10).state_dict()
    for name, value in own.items():
        assert torch.equal(value, fresh[name] if name.startswith("fc.") else state[name]), name
    assert find_weights("resnet18", "DEFAULT", 5, 10).record.seed == 5


def test_published_auxiliary_heads_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    state = _state("inception_v3")
    _publish(monkeypatch, "inception_v3", state | {"AuxLogits.fc.bias": torch.zeros(1000)})
    assert _equal(_applied("inception_v3", "DEFAULT", num_classes=1000), state)


def test_a_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: object, **_options: object) -> None:
        raise OSError("no route to host")

    _publish(monkeypatch, "resnet18", {})
    kind = importlib.import_module("torchvision.models").get_model_weights("resnet18")
    monkeypatch.setattr(kind, "get_state_dict", fail)
    with pytest.raises(ModelError, match=r"no route to host\); fetch https://.*pth .*give the file's path"):
        _applied("resnet18", "DEFAULT", num_classes=1000)


def test_a_published_file_is_recognised_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "renamed.pth"
    torch.save(_state("inception_v3"), path)
    # torchvision's file is inception_v3_google-0cc3c7bd.pth, and 0cc3c7bd begins its sha256
    monkeypatch.setattr(weights_module, "sha256_of", lambda _path: "0cc3c7bd" + "0" * 56)
    found = find_weights("inception_v3", str(path), 0, 1000)
    assert (found.record.kind, found.record.name, found.input_size) == ("torchvision", "IMAGENET1K_V1", 299)


def test_the_input_size_is_that_of_the_weights() -> None:
    assert find_weights("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", 0, 1000).input_size == 384
    assert find_weights("vit_b_16", "IMAGENET1K_V1", 0, 1000).input_size == 224
