from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from stage_runtime.files import sha256_of
from stage_runtime.inputs.__main__ import main

ROOT = Path(__file__).parents[3]


def _photograph(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> None:
    Image.new("RGB", size, colour).save(path)


def _make(capsys: pytest.CaptureFixture[str], cache: Path, *options: str) -> dict[str, Any]:
    assert main(["make", "--cache", str(cache), *options]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_the_default_photographs_are_prepared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    answer = _make(capsys, tmp_path, "--size", "96", "--count", "5")
    path = Path(answer["path"])
    assert path == tmp_path / "inputs" / f"{answer['inputs_id']}.safetensors"
    assert sha256_of(path).startswith(answer["inputs_id"])
    assert (answer["changed"], answer["bytes"]) == (True, path.stat().st_size)
    images = load_file(path)["images"]
    assert (images.shape, images.dtype) == ((5, 3, 96, 96), np.float32)
    assert len({image.tobytes() for image in images}) == 5
    assert all(image.std() > 0.3 for image in images)  # they show something
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_second_call_changes_nothing_and_loads_no_image_library(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = ("--size", "32", "--count", "2")
    first = _make(capsys, tmp_path, *options)
    code = (
        "import sys; sys.modules.update(torch=None, numpy=None, PIL=None, sklearn=None);"
        "from stage_runtime.inputs.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "make", "--source", "{}", "--cache", str(tmp_path), *options]
    shipped = str(next(Path(sys.prefix).rglob("sklearn/datasets/images")))
    command[command.index("{}")] = shipped
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == first | {"changed": False}


def test_a_folder_is_taken_in_the_order_of_its_names(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    _photograph(photographs / "b.png", (255, 0, 0))
    _photograph(photographs / "a.JPG", (0, 0, 0))
    (photographs / "notes.txt").write_text("no photograph")
    options = ("--source", str(photographs), "--size", "16", "--count", "2")
    first = _make(capsys, tmp_path, *options)
    images = load_file(first["path"])["images"]
    assert images[0, :, 0, 0] == pytest.approx([-2.1179, -2.0357, -1.8044], abs=1e-3)  # black
    assert images[1, :, 0, 0] == pytest.approx([2.2489, -2.0357, -1.8044], abs=1e-3)  # red
    _photograph(photographs / "a.JPG", (255, 255, 255))
    second = _make(capsys, tmp_path, *options)
    assert second["changed"] is True
    assert second["inputs_id"] != first["inputs_id"]
    _make(capsys, tmp_path, *options[:-1], "1")
    Path(second["path"]).unlink()
    assert _make(capsys, tmp_path, *options) == second


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--source", "nowhere", "--size", "8", "--count", "1"), "no folder of photographs at nowhere"),
        (("--source", "empty", "--size", "8", "--count", "1"), "no photographs in empty; put files there that end"),
        (("--source", "bad", "--size", "8", "--count", "1"), "bad/bad.png cannot be read as a photograph"),
        (("--source", "bad", "--size", "0", "--count", "1"), "--size 0: at least 1"),
        (("--source", "bad", "--size", "8", "--count", "0"), "--count 0: at least 1"),
    ],
)
def test_bad_options_are_refused(
    options: tuple[str, ...],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("bad").mkdir()
    Path("bad/bad.png").write_bytes(b"\x89PNG no more")
    assert main(["make", "--cache", "cache", *options]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert complaint in captured.err
    assert not list(Path("cache").rglob("*.safetensors"))
