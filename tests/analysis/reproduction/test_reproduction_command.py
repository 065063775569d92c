"""The command, and the page and record that it leaves."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from analysis.reproduction.__main__ import _parser, main
from tests.analysis.reproduction.made import Made, make_rows
from tests.project.structure import ROOT


def write(folder: Path, made: Made) -> Path:
    folder.mkdir(parents=True)
    (folder / "journal.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in make_rows(made)))
    devices = {name: {"kind": "virtual", "cpus": 0.5, "cores": [0]} for name in ("pi1", "pi2")}
    (folder / "campaign.json").write_text(json.dumps({"devices": devices}))
    return folder


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Made(models=("resnet18",), speeds={"pi_to_pi": (1.0, 1.0)})
    folder = write(tmp_path_factory.mktemp("results") / "made-up", made)
    assert main([str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def page(campaign: Path) -> str:
    return (campaign / "reproduction.html").read_text()


def test_the_page_needs_no_other_file(page: str) -> None:
    addresses = re.findall(r"""(?:src|href)="([^"]*)""", page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "<script" not in page


def test_every_anchor_of_the_page_exists(page: str) -> None:
    names = set(re.findall(r'id="([^"]*)"', page))
    assert {address.removeprefix("#") for address in re.findall(r'href="(#[^"]*)"', page)} <= names


def test_the_page_opens_with_a_chip_and_a_sentence_for_every_claim(page: str) -> None:
    opening = page[page.index("The answer") : page.index("Behind each verdict</h2>")]
    chips = re.findall(r'class="chip (\w+)">([a-z ]+)<', opening)
    assert len(chips) == 7
    assert ("both", "holds") in chips
    assert ("unclear", "cannot be said") in chips
    assert "What the paper could not see" in opening


def test_a_claim_without_data_names_the_command_that_brings_them(page: str) -> None:
    assert (
        "<code>ansible-playbook sweep.yml -e model=resnet18 -e chains=pi_to_pi,pi_to_gpu -e repeats=3 -e batch=8</code>"
        in page
    )


def test_rows_not_measured_are_named_so_and_the_printed_rate_is_marked(page: str) -> None:
    assert page.count("not measured in this campaign") == 10
    assert '<td class="n above">3,670</td>' in page


def test_the_record_says_the_same_and_a_second_run_gives_the_same_bytes(campaign: Path, tmp_path: Path) -> None:
    first = (campaign / "reproduction.json").read_bytes()
    assert main([str(campaign), "--record-only", "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.json").read_bytes() == first
    assert not (tmp_path / "again.html").exists()
    record = json.loads(first)
    assert [claim["verdict"] for claim in record["claims"]][:3] == ["cannot be said", "holds", "holds"]
    assert record["rows"][6]["measured"][0]["split"] == "P2"
    assert record["campaigns"] == ["made-up"]


def test_what_differs_tells_the_campaigns_own_devices(page: str) -> None:
    assert "pi1: virtual, 0.5 of a core; pi2: virtual, 0.5 of a core" in page
    assert "lan: 1000 Mbit/s, 0.2 ms (user)" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no journal.jsonl in nowhere"),
        (["{campaign}", "{campaign}/../other"], "name the page to write with --out FILE"),
        (["{campaign}/../other"], "nothing can be laid beside the paper"),
        (["{campaign}", "--profiles", "{campaign}"], "is no block profile"),
        (["{campaign}", "--profiles", "{campaign}/none"], "no profile in"),
        (["{campaign}", "--out", "{campaign}/journal.jsonl/x.html", "--record-only"], "give another file with --out"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(
    arguments: list[str], message: str, campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (campaign.parent / "other").exists():
        write(campaign.parent / "other", Made(models=("other",), repeats=1))
    assert main([word.format(campaign=campaign) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_examples_of_the_help_parse() -> None:
    examples = re.findall(r"^ +python -m analysis.reproduction(.*)$", _parser().format_help(), re.MULTILINE)
    assert len(examples) == 3
    for line in examples:
        _parser().parse_args(line.split())
    assert (ROOT / "analysis" / "reproduction" / "__main__.py").is_file()
