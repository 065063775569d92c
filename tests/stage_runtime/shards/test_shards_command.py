from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from stage_runtime.formats.manifest import Manifest
from stage_runtime.models import zoo
from stage_runtime.shards.__main__ import main

ROOT = Path(__file__).parents[3]
MODEL = ("--model", "SqueezeNet1_1", "--granularity", "all", "--size", "64", "--num-classes", "10")


def _make(capsys: pytest.CaptureFixture[str], cache: Path, *options: str) -> dict[str, Any]:
    assert main(["make", "--cache", str(cache), *(options or MODEL)]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def _refusal(capsys: pytest.CaptureFixture[str], cache: Path, *options: str) -> str:
    assert main(["make", "--cache", str(cache), *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def _files(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()}


def test_shards_are_written_with_a_manifest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer = _make(capsys, tmp_path)
    path = Path(answer["path"])
    assert path == tmp_path / "shards" / answer["manifest_id"] / "manifest.json"
    manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    assert (answer["changed"], answer["model"], answer["input_shape"]) == (True, "squeezenet1_1", [3, 64, 64])
    assert manifest.manifest_id == answer["manifest_id"]
    assert list(manifest.split_points) == answer["split_points"] == list(range(1, len(manifest.blocks)))
    assert (manifest.weights.kind, manifest.weights.seed, manifest.num_classes) == ("seeded", 0, 10)
    blocks = {file.stem: file.stat().st_size for file in (tmp_path / "shards" / "blocks").glob("*.safetensors")}
    assert blocks == {entry.sha256: entry.file_bytes for entry in manifest.blocks}
    assert answer["total_bytes"] == sum(blocks.values())
    assert len(blocks) < len(manifest.blocks)  # the blocks without weights are one file
    assert manifest.blocks[-1].output.shape == (10,)
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_files_hold_the_models_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    manifest = msgspec.json.decode(Path(_make(capsys, tmp_path)["path"]).read_bytes(), type=Manifest)
    expected = zoo.build_seeded("squeezenet1_1", 0, num_classes=10).state_dict()
    found = {}
    for entry in manifest.blocks:
        with safe_open(tmp_path / "shards" / "blocks" / f"{entry.sha256}.safetensors", "pt") as file:
            found.update({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  (not a mapping)
    assert found.keys() == expected.keys()
    assert all(bool((found[name] == expected[name]).all()) for name in expected)
    assert sum(entry.parameter_bytes for entry in manifest.blocks) == sum(v.nbytes for v in expected.values())


def test_a_second_call_changes_nothing_and_needs_no_torch(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = _make(capsys, tmp_path)
    files = _files(tmp_path)
    code = (
        "import sys; sys.modules.update(torch=None, torchvision=None, safetensors=None);"
        "from stage_runtime.shards.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "make", "--cache", str(tmp_path), *MODEL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == first | {"changed": False}
    assert _files(tmp_path) == files


def test_shards_are_mended(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first = _make(capsys, tmp_path)
    blocks = sorted((tmp_path / "shards" / "blocks").glob("*.safetensors"))
    blocks[0].unlink()
    content = blocks[1].read_bytes()
    blocks[1].write_bytes(content[:-1])
    assert _make(capsys, tmp_path) == first
    assert blocks[0].exists()
    assert blocks[1].read_bytes() == content
    Path(first["path"]).unlink()
    assert _make(capsys, tmp_path) == first
    assert _make(capsys, tmp_path)["changed"] is False


def test_what_decides_the_shards_is_in_the_id(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    weights = tmp_path / "own.safetensors"
    save_file(zoo.build_seeded("squeezenet1_1", 0, num_classes=10).state_dict(), weights)
    variants = [
        (),
        ("--seed", "1"),
        ("--num-classes", "11"),
        ("--size", "65"),
        ("--model", "squeezenet1_0"),
        ("--weights", str(weights)),
    ]
    ids = [_make(capsys, tmp_path, *MODEL, *variant)["manifest_id"] for variant in variants]
    assert len(set(ids)) == len(variants)
    save_file(zoo.build_seeded("squeezenet1_1", 9, num_classes=10).state_dict(), weights)
    changed = _make(capsys, tmp_path, *MODEL, "--weights", str(weights))
    assert changed["changed"] is True
    assert changed["manifest_id"] not in ids


def test_a_users_model_is_never_taken_from_memory(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user_model_remade.py").write_text(
        "from torch import nn\nLAYERS = [nn.Conv2d(3, 2, 1)]\n"
        "def build():\n    print('building')\n    return nn.Sequential(*LAYERS, nn.Flatten())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = ("--model", "user_model_remade:build", "--granularity", "all", "--size", "8")
    first = _make(capsys, tmp_path, *options)
    assert _make(capsys, tmp_path, *options)["split_points"] == first["split_points"] == [1]
    layers = sys.modules["user_model_remade"].LAYERS
    layers.append(type(layers[0])(2, 2, 1))
    assert _make(capsys, tmp_path, *options)["split_points"] == [1, 2]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--model", "vgg"), "unknown model 'vgg'"),
        (("--model", "resnet34"), "resnet34 has no paper split points"),
        (("--model", "vgg16", "--granularity", "fine"), "unknown granularity 'fine'"),
        (("--model", "vgg16", "--num-classes", "0"), "--num-classes 0: at least 1"),
        (("--model", "vgg16", "--size", "-3"), "--size -3: at least 1 pixel"),
        (("--model", "vgg16", "--weights", "V9"), "vgg16 has no weights 'V9'; one of: seeded, "),
        (("--model", "vgg16", "--weights", "gone.pth"), "no weights file at gone.pth"),
        (("--model", "alexnet", "--size", "16"), "alexnet does not run on an input of shape"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_written(
    options: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert complaint in _refusal(capsys, tmp_path, *options)
    assert not list(tmp_path.rglob("*.safetensors"))
    assert not list(tmp_path.rglob("manifest.json"))


def test_damaged_weights_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = zoo.build_seeded("squeezenet1_1", 0, num_classes=10).state_dict()
    state["features.0.weight"][0, 0, 0, 0] = float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    refusal = _refusal(capsys, tmp_path, *MODEL, "--weights", str(tmp_path / "nan.safetensors"))
    assert "block 0 (features_0): features.0.weight holds values that are not finite" in refusal


def test_missing_blocks_are_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made = _make(capsys, tmp_path)
    code = (
        "import sys; sys.modules.update(torch=None, torchvision=None, safetensors=None);"
        "from stage_runtime.shards.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )

    def missing(folder: Path) -> dict[str, Any]:
        command = [sys.executable, "-c", code, "missing", "--manifest", made["path"], "--dir", str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    assert missing(tmp_path / "shards")["missing"] == []
    report = missing(tmp_path / "device")
    assert report["needed_bytes"] == report["total_bytes"] == made["total_bytes"]
    assert {block["reason"] for block in report["missing"]} == {"absent"}
    assert main(["missing", "--manifest", str(tmp_path / "none.json"), "--dir", str(tmp_path)]) == 1
    assert "no manifest at" in capsys.readouterr().err
