"""The command and what it leaves: tables, report, messages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from analysis import front
from analysis.campaigns import find_campaigns
from analysis.compute import Analysis
from analysis.figures.picture import Picture
from analysis.report.build import build_report
from tests.analysis.synthetic import Plan, make_row, write_campaign

CHECKOUT = Path(__file__).parents[2]


def command(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [sys.executable, "-m", "analysis.front", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd or CHECKOUT,
        env=environment,
    )


def test_the_newest_campaign_gets_its_answer_files_and_report(campaign: Path, tmp_path: Path) -> None:
    shutil.copytree(campaign, tmp_path / "results" / "c")
    done = command(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "beats unsplit?" in done.stdout
    assert "Robust over all 2 networks: in latency only:pi1" in done.stdout
    assert "From lan (the best network) to paper_200ms_5mbit (the worst)" in done.stdout
    assert "front: " not in done.stdout
    assert "warning: oversubscribed: 3 virtual devices on 2 cores" in done.stdout
    assert "report   results/c/report/report.html" in done.stdout
    written = {path.name for path in (tmp_path / "results/c/report").iterdir()}
    stem = "mobilenet-v2-pi-to-pi-tcp-batch-8"
    kinds = ("front", "moves", "attainment", "stages", "bounds", "heatmap")
    figures = {f"{kind}-{stem}.{end}" for kind in kinds for end in ("svg", "png")}
    names = (
        "points", "fronts", "recommendations", "moves", "attainment", "bounds", "codecs", "transports",
        "transport_summary", "devices", "stages", "links", "runs",
    )  # fmt: skip
    tables = {f"{name}.{end}" for name in names for end in ("csv", "parquet")}
    assert written == figures | tables | {"report.html"}


def test_tables_as_csv_and_parquet_say_the_same(campaign: Path, tmp_path: Path) -> None:
    assert front.main([str(campaign), "--out", str(tmp_path), "--no-report"]) == 0
    points = pd.read_parquet(tmp_path / "points.parquet")
    told = points.dropna(axis="columns", how="all")  # a column without a value has no type of its own
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "points.csv")[told.columns], told, check_dtype=False)
    assert len(points) == 2 * 7
    assert points.loc[points["reference"], "split"].tolist() == ["only:pi1", "only:pi2"] * 2
    runs = pd.read_parquet(tmp_path / "runs.parquet")
    assert (runs["status"] != "ok").sum() == 1
    assert len(runs["stages"].iloc[-1]) == 2
    assert not list(tmp_path.glob("*.svg"))


def test_tables_of_single_runs_can_be_left_out(campaign: Path, tmp_path: Path) -> None:
    assert front.main([str(campaign), "--out", str(tmp_path), "--no-report", "--no-runs"]) == 0
    written = {path.stem for path in tmp_path.iterdir()}
    assert "points" in written
    assert not {"runs", "stages"} & written


def test_two_campaigns_go_into_a_folder_of_their_own(campaign: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(campaign, tmp_path / name)
    assert front.main(["a", "b", "--results", str(tmp_path), "--no-report"]) == 0
    (merged,) = tmp_path.glob("merged-*/report/points.csv")
    points = pd.read_csv(merged)
    assert set(points["latency_runs"]) == {6, 4}  # three repeats each, P8 under lan has one failed in each


def test_filters_and_every_change_what_is_listed(
    campaign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = [str(campaign), "--out", str(tmp_path), "--no-report", "--network", "lan"]
    front.main(base)
    short = capsys.readouterr().out
    front.main([*base, "--every"])
    full = capsys.readouterr().out
    assert "front: lan" in full
    assert "paper_200ms_5mbit" not in full
    assert not re.search(r"^ *P1 ", short, re.MULTILINE)
    assert re.search(r"^ *P1 ", full, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "error: no journal.jsonl in nowhere"),
        (["empty"], "no finished run in"),
        (["made-up", "--chain", "pi_to_pie"], "no run with chain pi_to_pie; there are: pi_to_pi"),
        (["made-up", "--out", "made-up/journal.jsonl"], "give another folder with --out"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_campaign(tmp_path / "empty", [])
    write_campaign(tmp_path / "made-up", [make_row(Plan(), "lan", "P3", 1, 0)])
    monkeypatch.chdir(tmp_path)
    assert front.main([*arguments, "--results", str(tmp_path), "--no-report"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_help_teaches_by_examples_and_imports_nothing_heavy() -> None:
    probe = (
        "import sys; from analysis import front; front._parser().format_help()\n"
        "heavy = {'pandas', 'numpy', 'matplotlib', 'seaborn', 'torch', 'ansible'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert done.stdout == "[]\n"
    text = command("--help").stdout
    assert "examples:" in text
    for line in re.findall(r"^ +python -m analysis.front(.*)$", text, re.MULTILINE):
        front._parser().parse_args(line.split())


def test_campaign_names_complete(campaign: Path) -> None:
    line = f"front --results {campaign.parent} ma"
    environment = {
        **os.environ, "PYTHONPATH": str(CHECKOUT), "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(campaign.parent / "completions"),
    }  # fmt: skip
    subprocess.run([sys.executable, "-m", "analysis.front"], env=environment, check=True, cwd=CHECKOUT)
    assert (campaign.parent / "completions").read_text() == "made-up"


class Elements(HTMLParser):
    """Collects tags with their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def report(analysis_of_campaign: Analysis) -> Elements:
    slug = analysis_of_campaign.studies[0].slug
    picture = Picture(title="A title", description="What it shows", svg=b"<svg/>")
    elements = Elements()
    elements.feed(build_report(analysis_of_campaign, {slug: [picture]}.__getitem__))
    return elements


def test_the_report_needs_no_other_file(report: Elements) -> None:
    addresses = [value for _, attributes in report.tags for key, value in attributes.items() if key in {"src", "href"}]
    assert addresses
    assert all(value is not None and value.startswith(("data:", "#")) for value in addresses)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in report.tags}


def test_the_report_opens_with_the_answer_for_each_network(report: Elements) -> None:
    opening = report.text[report.text.index("The answer") : report.text.index("Before you believe it")]
    for words in (
        "better in throughput only under lan; does not pay under paper_200ms_5mbit",
        "Least latency: P",
        "Most throughput: ",
        "Robust over all 2 networks: in latency only:pi1",
        "only:pi1 (260 ms under paper_200ms_5mbit)",
    ):
        assert words in opening


def test_the_report_tells_tails_noise_moves_and_verdicts(report: Elements) -> None:
    for words in (
        "From lan (the best network) to paper_200ms_5mbit (the worst)",
        "within noise",
        "p99",
        "the first device's share",
        "Splitting does not pay here",
    ):
        assert words in report.text


def test_the_report_lists_failed_runs_warnings_links_and_provenance_escaped(report: Elements) -> None:
    assert "no answer within 20 s <b>" in report.text
    assert "oversubscribed: 3 virtual devices on 2 cores" in report.text
    assert "5 Mbit/s, 200 ms" in report.text
    assert "ansible-playbook sweep.yml -e model=mobilenet_v2" in report.text
    assert ("img", "A title. What it shows") in [(tag, attributes.get("alt")) for tag, attributes in report.tags]


def test_every_anchor_of_the_report_exists(report: Elements) -> None:
    names = {attributes.get("id") for _, attributes in report.tags}
    links = {attributes["href"] for tag, attributes in report.tags if tag == "a"}
    assert {f"#{name}" for name in names} >= links


def test_a_campaign_named_by_its_folder_keeps_its_name_under_a_trailing_dot(campaign: Path) -> None:
    (found,) = find_campaigns([f"{campaign}/."], campaign.parent)
    assert found.name == "made-up"


def test_a_chain_of_one_device_has_no_links_and_still_a_report(tmp_path: Path) -> None:
    alone = make_row(Plan(), "lan", "only:pi1", 1, 0)
    row = msgspec.structs.replace(alone, chain="pi", devices=("pi1",), link=(), stages=(), hops=())
    folder = write_campaign(tmp_path / "c", [row])
    done = command(str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing to compare" in done.stdout
    assert "every chain has one device" in (folder / "report" / "report.html").read_text()
