from __future__ import annotations

from analysis.alike import count_alike


def test_warnings_that_differ_in_their_figures_alone_are_one_with_the_range() -> None:
    texts = [["offset within 400.8 ms on pi1", "hot"], ["offset within 400.9 ms on pi1"], ["offset within 9 ms on pi2"]]
    assert count_alike(texts) == [
        ("offset within 400.8 to 400.9 ms on pi1", 2), ("hot", 1), ("offset within 9 ms on pi2", 1),
    ]  # fmt: skip


def test_what_is_said_most_comes_first_and_each_run_counts_once() -> None:
    texts = [["a"], ["b", "b"], ["b"], []]
    assert count_alike(texts) == [("b", 2), ("a", 1)]


def test_the_number_in_a_name_is_no_figure() -> None:
    texts = [["pi1 swapped 2 MiB"], ["pi2 swapped 3 MiB"], ["pi1 swapped 10 MiB"]]
    assert count_alike(texts) == [("pi1 swapped 2 to 10 MiB", 2), ("pi2 swapped 3 MiB", 1)]
