from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import msgspec
import pytest

import analysis
from analysis.campaigns import find_campaigns
from analysis.pack import main
from analysis.packing import find_private, plan_pack
from tests.analysis.synthetic import Plan, failed, make_rows, write_campaign

ROWS = make_rows(Plan(networks=("lan",), cuts=(3,), repeats=1))


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    folder = write_campaign(tmp_path / "made-up", ROWS)
    (folder / "campaign.json").write_text(json.dumps({"command": ["python", "-m", "sweep"], "devices": {"pi1": {}}}))
    (folder / ".lock").write_text("12")
    (folder / "report").mkdir()
    (folder / "samples").mkdir()
    (folder / "samples" / "a.parquet").write_bytes(b"PAR1")
    return folder


def packed(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_pack_is_the_journal_the_campaigns_record_and_a_readme(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(campaign), "--out", str(tmp_path / "shipped")]) == 0
    files = packed(tmp_path / "shipped")
    assert set(files) == {"README.md", "campaign.json", "journal.jsonl.gz", "provenance/0.json"}
    assert gzip.decompress(files["journal.jsonl.gz"]) == (campaign / "journal.jsonl").read_bytes()
    assert files["campaign.json"] == (campaign / "campaign.json").read_bytes()
    assert f"{len(ROWS)} runs" in files["README.md"].decode()
    assert "$ python -m sweep\n" in files["README.md"].decode()
    told = capsys.readouterr().out
    assert all(f"left out  {name}: " in told for name in (".lock", "report", "samples"))


def test_a_pack_is_read_as_the_campaign(campaign: Path, tmp_path: Path) -> None:
    main([str(campaign), "--out", str(tmp_path / "shipped")])
    before, after = analysis.load(campaign), analysis.load(tmp_path / "shipped")
    assert before.drop(columns="journal").equals(after.drop(columns="journal"))


def test_equal_campaigns_give_equal_bytes_and_a_pack_packs_to_itself(campaign: Path, tmp_path: Path) -> None:
    shutil.copytree(campaign, tmp_path / "elsewhere" / "made-up")
    for name, source in (("a", campaign), ("b", tmp_path / "elsewhere" / "made-up"), ("c", tmp_path / "a")):
        assert main([str(source), "--out", str(tmp_path / name)]) == 0
    assert packed(tmp_path / "a") == packed(tmp_path / "b") == packed(tmp_path / "c")
    assert main([str(tmp_path / "a"), "--out", str(tmp_path / "a")]) == 0


def test_samples_and_profiles_come_along_when_asked_for(campaign: Path, tmp_path: Path) -> None:
    profiles = tmp_path / "profiles" / "resnet18-1a2b"
    profiles.mkdir(parents=True)
    (profiles / "pi1.json").write_text("{}")
    main([str(campaign), "--out", str(tmp_path / "shipped"), "--samples", "--profiles", str(profiles)])
    assert {"samples/a.parquet", "profiles/resnet18-1a2b/pi1.json"} < set(packed(tmp_path / "shipped"))


def test_a_path_in_the_data_is_named_and_nothing_is_written(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [failed(ROWS[0], "cannot open /home/anna/x.sock: gone"), *ROWS[1:]]
    (campaign / "journal.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    assert main([str(campaign), "--out", str(tmp_path / "shipped")]) == 2
    error = capsys.readouterr().err
    assert "private: journal.jsonl:1 reason: /home/anna/x.sock" in error
    assert not (tmp_path / "shipped").exists()
    assert main([str(campaign), "--out", str(tmp_path / "shipped"), "--with-paths"]) == 0
    assert "private: journal.jsonl:1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"a": {"b": "weights=/srv/w.pth"}}, ["x.json a.b: /srv/w.pth"]),
        ({"a": ["~anna/photos"]}, ["x.json a: ~anna/photos"]),
        ({"a": "on lab-pc now"}, ["x.json a: lab-pc"]),
        ({"/home/anna/x": 1}, ["x.json: /home/anna/x"]),
        ({"a": "lab-pcs 5 Mbit/s 1/2 https://pytorch.org/whl/cpu"}, []),
        ({"a": "/proc/device-tree/model /usr/bin/python3"}, []),
    ],
)
def test_paths_and_the_hosts_name_are_found(content: object, found: list[str]) -> None:
    assert list(find_private({Path("x.json"): json.dumps(content).encode()}, "lab-pc")) == found


def test_what_is_not_part_of_a_campaign_is_refused(campaign: Path, tmp_path: Path) -> None:
    (campaign / "notes.txt").write_text("mine")
    assert main([str(campaign), "--out", str(tmp_path / "shipped")]) == 2


def test_a_folder_of_another_campaign_is_not_written_into(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(campaign), "--out", str(tmp_path / "shipped")])
    (campaign / "provenance" / "0.json").rename(campaign / "provenance" / "1.json")
    assert main([str(campaign), "--out", str(tmp_path / "shipped")]) == 2
    assert "0.json is not of this campaign" in capsys.readouterr().err


def test_a_campaign_without_its_record_is_refused(campaign: Path) -> None:
    (campaign / "campaign.json").unlink()
    (found,) = find_campaigns([campaign], campaign.parent)
    with pytest.raises(analysis.errors.AnalysisError, match=r"campaign.json: cannot be read"):
        plan_pack(found, samples=False)
