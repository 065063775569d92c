"""``python -m analysis.profile``: what it finds, says, writes and draws."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pandas as pd
import pytest

from analysis.figures import style
from analysis.figures.block_times import draw_block_times
from analysis.figures.split_costs import draw_split_costs
from analysis.profile import main
from analysis.profiles.costs import ModelCosts, find_costs
from stage_runtime.formats.profile import ModelProfile
from tests.analysis.profiles.conftest import make_profile, write


def test_the_newest_profile_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--results", str(folder.parents[1]), "--no-figures"]) == 0
    said = capsys.readouterr().out
    assert "made_up · 5 blocks · batch 1" in said
    assert "made_up · 5 blocks · batch 8" in said
    body = next(line for line in said.splitlines() if " body " in line)
    assert body.split() == ["1", "body", "300", "40.0", "10.0", "55.6%", "3.91", "20.0", "55.6%", "3.91"]
    everything = next(line for line in said.splitlines() if " all " in line)
    assert everything.split() == ["all", "4,544", "18.0", "3.91", "36.0", "3.91"]
    assert "pi1: blocks add up to 36.0 ms, a pass without marks takes 35.6 ms (+1.0 %; 2 passes of each)" in said
    assert "P2 300 KiB after 78%/78%, P4 30.0 KiB after 94%/94%" in " ".join(said.split())
    assert "warning: pi1 was slow" in said
    assert sorted(path.name for path in (folder / "report").iterdir()) == ["blocks.csv", "blocks.parquet"]


def test_tables_have_a_row_per_device_batch_size_and_block(folder: Path) -> None:
    assert main([str(folder), "--no-figures"]) == 0
    table = pd.read_csv(folder / "report" / "blocks.csv", dtype={"manifest_id": str})
    assert len(table) == 2 * 2 * 5
    row = table[(table["device"] == "pi1") & (table["batch"] == 8) & (table["name"] == "stem")].iloc[0]
    assert (row["ms"], row["passes"], row["peak_activation_bytes"]) == (64.0, 2, 8 * 2300 * 1024)
    assert pd.read_parquet(folder / "report" / "blocks.parquet").columns.tolist() == table.columns.tolist()


def test_figures_are_written_elsewhere_where_asked(folder: Path, tmp_path: Path) -> None:
    assert main([folder.name, "--results", str(folder.parents[1]), "--out", str(tmp_path / "out")]) == 0
    drawn = {path.name for path in (tmp_path / "out").iterdir() if path.suffix in {".svg", ".png"}}
    assert drawn == {"block-times.svg", "block-times.png", "splits.svg", "splits.png"}
    assert (tmp_path / "out" / "splits.png").read_bytes().startswith(b"\x89PNG")
    assert not (folder / "report").exists()


def test_bars_are_milliseconds_per_image_a_panel_per_device(model: ModelCosts) -> None:
    panels = draw_block_times(model).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["gpu1", "pi1"]
    first, second = ([bar.get_width() for bar in bars] for bars in panels[1].containers)
    assert first == second == [8.0, 20.0, 2.0, 4.0, 2.0]
    assert next(label.get_text() for label in panels[0].get_yticklabels()) == "0  stem"


def test_the_splits_picture_holds_the_shares_and_the_bytes(model: ModelCosts) -> None:
    above, below = draw_split_costs(model).axes
    for line in above.get_lines():
        assert list(line.get_ydata()) == pytest.approx([4 / 18, 14 / 18, 15 / 18, 17 / 18])
    assert [bar.get_height() for bar in below.patches] == [1600.0, 300.0, 300.0, 30.0]
    marked = [bar.get_facecolor() == below.patches[1].get_facecolor() for bar in below.patches]
    assert marked == [False, True, False, True]
    assert [label.get_text() for label in below.get_xticklabels()] == ["P1", "P2", "P3", "P4"]


def test_equal_profiles_are_drawn_alike(model: ModelCosts) -> None:
    for draw in (draw_block_times, draw_split_costs):
        assert style.write(draw(model), "svg") == style.write(draw(model), "svg")


def test_a_model_of_one_block_is_shown_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = make_profile("pi1", batches=(1,))
    alone = msgspec.structs.replace(whole, blocks=whole.blocks[:1])
    assert find_costs([alone]).splits == ()
    assert main([str(write(tmp_path / "one", alone))]) == 0
    assert "no split point sends fewer bytes than the input" in capsys.readouterr().out


@pytest.mark.parametrize("names", [[], ["nowhere"]])
def test_without_a_profile_it_says_how_to_make_one(
    tmp_path: Path, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*names, "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "ansible-playbook profile.yml -e model=" in said


def test_a_name_that_is_none_lists_those_that_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["made_up", "--results", str(folder.parents[1])]) == 2
    assert "made_up-01234567" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is no block profile"),
        (b'{"what": 1}', "is no block profile"),
        (msgspec.json.encode(msgspec.structs.replace(make_profile("pi2"), schema=9)), "has schema 9"),
        (msgspec.json.encode(msgspec.structs.replace(make_profile("pi2"), manifest_id="f" * 16)), "several models"),
    ],
    ids=["torn", "something else", "newer", "another model"],
)
def test_what_cannot_be_used_is_named(
    folder: Path, content: bytes, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pi2.json").write_bytes(content)
    assert main([str(folder)]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert str(folder) in said


def test_a_profile_refuses_fields_that_it_does_not_know() -> None:
    plain = msgspec.to_builtins(make_profile("pi1"))
    assert msgspec.convert(plain, ModelProfile).device == "pi1"
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.convert(plain | {"colour": "red"}, ModelProfile)
