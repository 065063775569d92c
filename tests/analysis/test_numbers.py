from __future__ import annotations

import pytest

from analysis.numbers import DASH, number


@pytest.mark.parametrize(
    ("value", "text"),
    [(12845.2, "12,845"), (244.4, "244"), (42.0, "42.0"), (1.0, "1.00"), (0.379, "0.38"), (float("nan"), DASH)],
)
def test_a_number_has_three_significant_digits_with_their_zeros(value: float, text: str) -> None:
    assert number(value) == text
