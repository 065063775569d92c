from __future__ import annotations

import dataclasses
import io
import math
import re

import pytest
from rich.console import Console

from analysis.compute import Analysis
from analysis.intervals import Interval
from analysis.terminal import MOST_CAUTIONS, show, spread, standing


def shown(analysis: Analysis, *, every: bool = False) -> str:
    out = io.StringIO()
    show(analysis, Console(file=out, width=120, highlight=False), every=every)
    return out.getvalue()


def test_each_study_gets_its_answer_and_the_transports_theirs(analysis_of_both: Analysis) -> None:
    text = shown(analysis_of_both)
    for study in analysis_of_both.studies:
        assert study.title in text
    assert text.count("Robust over all 2 networks: ") == 2
    assert text.count("From lan (the best network) to paper_200ms_5mbit (the worst)") == 2
    assert text.count("Of what no runtime can beat, median over splits: latency ") == 2
    assert "rpc against tcp, median over splits" in text
    assert re.search(r"mobilenet_v2 +pi_to_pi +8 +1 +8 +1\.0\d\d", text)
    assert not re.search(r"mobilenet_v2 +all", text)  # there is one chain
    assert "One half's 95 % interval covers the other half's median" in text
    assert "front: lan" not in text
    assert len(text.splitlines()) < 50


def test_every_adds_each_front_with_all_its_points_and_the_networks_of_the_transports(
    analysis_of_both: Analysis,
) -> None:
    text = shown(analysis_of_both, every=True)
    assert text.count("front: lan") == 2
    assert len(re.findall(r"^ ?P14 ", text, re.MULTILINE)) == 4
    assert re.search(r"pi_to_pi +paper_200ms_5mbit +4 +4", text)


def test_no_line_is_cut_short_at_120_columns(analysis_of_both: Analysis) -> None:
    assert "…" not in shown(analysis_of_both, every=True)


def test_many_warnings_are_counted_and_all_shown_on_request(analysis_of_both: Analysis) -> None:
    worried = dataclasses.replace(analysis_of_both)
    vars(worried)["cautions"] = tuple(f"caution {n}" for n in range(MOST_CAUTIONS + 3))  # as if they had been found
    assert shown(worried).count("warning: ") == MOST_CAUTIONS
    assert "3 more warnings in the report" in shown(worried)
    assert shown(worried, every=True).count("warning: ") == MOST_CAUTIONS + 3


@pytest.mark.parametrize(
    ("on_front", "near", "probability", "text"),
    [(True, False, 0.4, "yes 40%"), (False, True, 0.06, "within noise 6%"), (False, False, 0.0, "no 0%"),
     (True, False, math.nan, "yes"), (False, False, math.nan, "no")],
)  # fmt: skip
def test_a_points_standing_in_words(on_front: bool, near: bool, probability: float, text: str) -> None:
    assert standing(on_front=on_front, near=near, probability=probability) == text


def test_a_figure_below_zero_keeps_its_sign() -> None:
    assert spread(Interval(value=-0.5, low=-1.24, high=0.2, basis="repeats")) == "-0.5 [-1.2, 0.2]"
    assert spread(Interval(value=-0.5, low=math.nan, high=math.nan, basis="none")) == "-0.5"
    assert spread(None) == ""
