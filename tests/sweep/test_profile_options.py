"""Options of ``profile.yml``."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.errors import OptionError
from sweep.profile_options import parse_profile_options


def test_what_is_not_given_has_its_default() -> None:
    options = parse_profile_options({"model": "vgg16"})
    assert options.shared.model == ("vgg16",)
    assert options.shared.batch == (1, 8)
    assert (options.devices, options.passes, options.model_s) == ((), 20, 120.0)


def test_options_that_a_sweep_has_are_read_as_a_sweep_reads_them() -> None:
    given = {"model": "VGG-16,resnet18", "batch": [4], "num_classes": "10", "devices": "pi1,gpu1", "passes": "5"}
    options = parse_profile_options(given | {"model_s": "0"})
    assert options.shared.model == ("vgg16", "resnet18")
    assert (options.shared.batch, options.shared.num_classes) == ((4,), 10)
    assert (options.devices, options.passes, options.model_s) == (("pi1", "gpu1"), 5, 0.0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "option `model` is missing"),
        ({"model": "vgg17"}, "did you mean `vgg16`"),
        ({"model": "vgg16", "window": "4"}, "unknown option `window`"),
        ({"model": "vgg16", "pases": "4"}, "did you mean `passes`"),
        ({"model": "vgg16", "passes": "0"}, "option `passes`: got `0`, accepted: whole numbers from 1"),
        ({"model": "vgg16", "devices": "pi1,pi1"}, "names one thing twice"),
        ({"model": "vgg16", "batch": "0"}, "option `batch`"),
        ({"model": "vgg16", "model_s": "-1"}, "option `model_s`"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        parse_profile_options(given)
