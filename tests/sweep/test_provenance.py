"""What a campaign says of the control node."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from stage_runtime.formats.manifest import WeightsSource
from sweep.options import Options
from sweep.provenance import control_provenance, file_digest, git_state, weights_text, without_folders


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["/usr/bin/env", "git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_a_files_digest_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"content").hexdigest()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (WeightsSource(kind="seeded", seed=3), "seeded:3"),
        (WeightsSource(kind="torchvision", name="IMAGENET1K_V1"), "IMAGENET1K_V1"),
        (WeightsSource(kind="file", name="w.pth", sha256="ab"), "file:ab"),
    ],
)
def test_weights_are_told_in_one_word(source: WeightsSource, text: str) -> None:
    assert weights_text(source) == text


def test_git_state_is_the_commit_and_whether_files_differ(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "one")
    clean = git_state(tmp_path)
    assert clean["modified"] is False
    assert len(clean["commit"]) == 40
    (tmp_path / "untracked").touch()
    assert git_state(tmp_path) == clean
    (tmp_path / "a").write_text("2")
    assert git_state(tmp_path) == clean | {"modified": True}


def test_without_git_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(tmp_path) == {"commit": None, "modified": None}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) == {"commit": None, "modified": None}


def test_versions_of_what_matters_are_named(tmp_path: Path) -> None:
    found = control_provenance(tmp_path)
    assert {"ansible-core", "ansible-runner", "torch"} <= found["packages"].keys()
    assert found["packages"]["ansible-runner"]
    assert found["splitbed"]
    assert found["kernel"]


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ("/home/anna/photos", "photos"),
        ("weights=/home/anna/models/w.pth", "weights=w.pth"),
        ("~anna/w.pth", "w.pth"),
        ("inputs='/home/anna/my'", "inputs='my'"),
        ("results", "results"),
        ("shelf/w.pth", "shelf/w.pth"),
        ("5 Mbit/s, 1/2", "5 Mbit/s, 1/2"),
        ("https://download.pytorch.org/whl/cpu", "https://download.pytorch.org/whl/cpu"),
    ],
)
def test_a_campaigns_record_keeps_no_folders(text: str, recorded: str) -> None:
    assert without_folders(["python", text]) == ["python", recorded]


def test_the_options_are_recorded_as_asked_but_for_folders() -> None:
    recorded = without_folders(Options(model=("vgg16",), inputs="/home/anna/photos", repeats=3))
    assert recorded["model"] == ["vgg16"]
    assert recorded["repeats"] == 3
    assert recorded["inputs"] == "photos"
