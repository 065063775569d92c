"""What the command refuses, and what it writes from results that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.payloads.__main__ import main
from bench.payloads.results import write
from tests.bench.payloads.made import a_link, results


def test_results_are_shown_again_and_written_into_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, document = tmp_path / "made", tmp_path / "docs" / "performance.md"
    made.mkdir()
    write(made / "payloads.json", results(a_link()))
    assert main(["--again", "--out", str(made), "--document", str(document)]) == 0
    text = capsys.readouterr().out
    assert text == (made / "payloads.md").read_text()
    assert "(performance/payloads.svg)" in document.read_text()
    assert (document.parent / "performance" / "payloads.svg").read_bytes() == (made / "payloads.svg").read_bytes()


def test_nothing_to_show_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--again", "--out", str(tmp_path)]) == 1
    assert "holds no results of bench.payloads" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--networks", "lan,moon"), ("--transports", "tcp,pigeon")])
def test_a_name_that_is_not_known_is_refused_with_those_that_are(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([option, value]) == 2
    assert f"'{value.partition(',')[2]}' is none of" in capsys.readouterr().err
