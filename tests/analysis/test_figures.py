"""What the figures show is held as data; that they draw at all, by drawing."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote
from xml.dom import minidom

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from analysis.compute import Analysis
from analysis.figures import style
from analysis.figures.attainment import draw_attainment, stairs
from analysis.figures.bounds import draw_bounds
from analysis.figures.draw import KINDS, Kind, Subject, Subjects, choose, draw
from analysis.figures.front import draw_fronts, staircase
from analysis.figures.heatmap import draw_heatmap, matrix
from analysis.figures.labels import Box, Label, choose_place
from analysis.figures.moves import draw_moves, members
from analysis.figures.picture import Picture
from analysis.figures.stages import draw_stages
from analysis.figures.transports import draw_transports
from analysis.studies import Study

FRAME = Box(left=0, bottom=0, right=400, top=300)


@pytest.fixture(scope="session")
def study(analysis_of_campaign: Analysis) -> Study:
    return analysis_of_campaign.studies[0]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, *axes.get_yticklabels()]]


def test_every_figure_names_the_reference_points(study: Study) -> None:
    for draw_one in (draw_fronts, draw_moves, draw_attainment, draw_stages, draw_bounds, draw_heatmap):
        figure = draw_one(study)
        assert figure is not None
        assert all(any(name in text for text in texts(figure)) for name in ("only:pi1", "only:pi2"))


def test_each_network_has_its_panel_with_every_front_point_and_reference_labelled(study: Study) -> None:
    figure = draw_fronts(study)
    for axes, front in zip(figure.axes, study.fronts, strict=True):
        required = {point.split for point in (*front.front_points, *front.references)}
        assert required <= {text.get_text() for text in axes.texts}
        assert axes.get_title(loc="left") == front.condition.network


def test_an_axis_is_logarithmic_only_where_values_differ_much(study: Study) -> None:
    lan, slow = draw_fronts(study).axes
    assert (lan.get_xscale(), slow.get_xscale()) == ("linear", "log")
    assert "ms" in lan.get_xlabel()
    assert slow.get_xlabel().endswith("log scale")


def test_all_points_lie_within_their_panel(study: Study) -> None:
    for axes, front in zip(draw_fronts(study).axes, study.fronts, strict=True):
        for point in front.points:
            assert axes.get_xlim()[0] < point.latency.value < axes.get_xlim()[1]
            assert axes.get_ylim()[0] < point.throughput.value < axes.get_ylim()[1]


def test_the_staircase_gives_the_most_throughput_that_each_latency_allows(study: Study) -> None:
    front = study.fronts[0]
    xs, ys = staircase(front, right=1e4, bottom=0.0)
    assert ys[0] == 0.0
    assert xs[-1] == 1e4
    corners = list(zip(xs, ys, strict=True))
    for (x0, y0), (x1, y1) in itertools.pairwise(corners):
        assert x0 == x1 or y0 == y1
        assert x1 >= x0
        assert y1 >= y0
    for latency in np.linspace(xs[0], 2 * xs[0], 50):
        allowed = max(point.throughput.value for point in front.points if point.latency.value <= latency)
        assert max(y for x, y in corners if x <= latency) == allowed


def test_moves_show_the_splits_of_any_front_and_those_within_noise_of_one(study: Study) -> None:
    assert study.moves is not None
    shown = members(study, study.moves)
    for step in study.moves.steps:
        assert {point.split for point in (*step.front.front_points, *step.front.near_points)} <= set(shown)
    assert shown == [split for split in study.splits if split in shown]
    figure = draw_moves(study)
    assert figure is not None
    assert shown == [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_a_study_of_one_network_or_few_repeats_has_nothing_to_draw(study: Study) -> None:
    assert draw_moves(dataclasses.replace(study, moves=None)) is None
    assert draw_attainment(dataclasses.replace(study, attainments=())) is None


def test_an_attainment_surface_is_drawn_as_a_staircase_that_ends_at_the_right() -> None:
    assert stairs(((10, 5), (20, 9)), right=30, bottom=0) == ([10, 10, 10, 20, 20, 30], [0, 0, 5, 5, 9, 9])


def test_transports_show_every_split_of_every_network_and_one(analysis_of_both: Analysis) -> None:
    figure = draw_transports(analysis_of_both.transports[0])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["paper_200ms_5mbit", "lan"]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["only:pi1", "only:pi2", "P3", "P8", "P14"]
    for axes in figure.axes:
        assert axes.get_xlim()[0] < 1 < axes.get_xlim()[1]


def test_the_heat_map_holds_every_point_in_its_cell_and_nothing_else(study: Study) -> None:
    table = matrix(study, lambda point: point.latency.value)
    for column, front in enumerate(study.fronts):
        for point in front.points:
            assert table[study.splits.index(point.split), column] == point.latency.value
    assert table.size == sum(len(front.points) for front in study.fronts)


def test_drawing_leaves_a_notebooks_settings_alone(study: Study) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - asked for its settings here and nowhere else

    before = dict(mpl.rcParams)
    style.write(draw_stages(study), "svg")
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_a_figure_is_written_as_svg_and_png_alike_each_time(
    analysis_of_both: Analysis, analysis_of_codecs: Analysis, kind: Kind
) -> None:
    subjects: dict[str, Sequence[Subject]] = {
        "studies": analysis_of_both.studies,
        "transports": analysis_of_both.transports,
        "codecs": analysis_of_codecs.tradeoffs,
    }
    subject = subjects[kind.subjects][0]
    first, second = draw([subject, subject], kind, ("svg", "png"))
    assert first is not None
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert b"<svg" in first["svg"]
    assert not re.search(rb'(href|src)="https?:', first["svg"])


class Named(NamedTuple):
    slug: str


def test_as_many_figures_are_drawn_as_there_is_room_for_fronts_first() -> None:
    subjects: dict[Subjects, Sequence[Subject]] = {
        "studies": [Named(f"s{number}") for number in range(4)],
        "transports": [Named("t")],
        "codecs": (),
    }
    everything = choose(subjects, None)
    assert everything.left_out == 0
    assert sum(len(share.subjects) for share in everything.shares) == 4 * 6 + 1
    some = choose(subjects, 9)
    assert [(share.kind.name, len(share.subjects)) for share in some.shares] == [
        *[("front", 1)] * 4, *[("moves", 1)] * 4, ("transports", 1),
    ]  # fmt: skip
    assert some.left_out == 16
    assert some.kinds_left_out == ("attainment", "stages", "bounds", "heatmap")


def test_with_too_many_studies_for_their_fronts_the_first_are_drawn() -> None:
    subjects: dict[Subjects, Sequence[Subject]] = {
        "studies": [Named(f"s{number}") for number in range(4)], "transports": (), "codecs": (),
    }  # fmt: skip
    some = choose(subjects, 3)
    assert [share.subjects[0].slug for share in some.shares] == ["s0", "s1", "s2"]
    assert some.left_out == 4 * 6 - 3


def test_svg_is_made_smaller_and_its_texts_stay() -> None:
    svg = (
        b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC\n "x">\n<svg><style>*{}</style><!-- why -->\n <g id="patch_12">\n'
        b'  <path id="m37ee_x1f" d="M 1.23456 2.5\nL 3.999 4" style="fill: #222222"/>\n </g>\n'
        b'<text x="5.6789" transform="rotate(-0 5.67 8.9)" style="fill: #222222">0.12345\'s  > 1.98765</text>\n</svg>'
    )
    slim = style.slim(svg).decode()
    assert '<path id="m37ee_x1f" d="M1.23 2.5L3.99 4" class="s0"/>' in slim
    assert '<text x="5.67" class="s0">0.12345\'s  > 1.98765</text>' in slim
    assert ".s0{fill: #222222}" in slim
    assert len(slim) < len(svg)


def test_a_picture_stays_itself_within_an_attribute() -> None:
    svg = """<svg width="3"><text fill="#222">50 % &amp; 'more' \u2192</text></svg>"""
    address = Picture(title="", description="", svg=svg.encode()).data_uri
    assert not re.search(r'["&#]', address)
    found = minidom.parseString(unquote(address.split(",", 1)[1])).documentElement  # noqa: S318 - our own
    assert found.getAttribute("width") == "3"
    assert found.firstChild.getAttribute("fill") == "#222"
    assert found.firstChild.firstChild.data == "50 % & 'more' \u2192"


spots = st.tuples(st.floats(0, 400), st.floats(0, 300))


@given(spots, st.lists(spots, max_size=12))
def test_a_label_that_may_be_left_out_covers_nothing_and_stays_inside(
    spot: tuple[float, float], others: list[tuple[float, float]]
) -> None:
    taken = [Box(left=x - 8, right=x + 8, bottom=y - 8, top=y + 8) for x, y in others]
    label = Label(text="P12", x=0, y=0, colour="k", size=8, required=False)
    place = choose_place(label, spot, 1.4, taken, FRAME)
    if place is not None:
        box, _ = place
        for other in taken:
            apart = box.right <= other.left or box.left >= other.right or box.top <= other.bottom
            assert apart or box.bottom >= other.top - 1e-3
        assert FRAME.left - 1e-3 <= box.left
        assert box.right <= FRAME.right + 1e-3
        assert FRAME.bottom - 1e-3 <= box.bottom
        assert box.top <= FRAME.top + 1e-3


def test_a_required_label_is_placed_even_where_all_is_taken() -> None:
    label = Label(text="P12", x=0, y=0, colour="k", size=8)
    assert choose_place(label, (200, 150), 1.4, [FRAME], FRAME) is not None
    optional = Label(text="P12", x=0, y=0, colour="k", size=8, required=False)
    assert choose_place(optional, (200, 150), 1.4, [FRAME], FRAME) is None
