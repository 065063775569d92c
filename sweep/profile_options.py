"""The options of ``profile.yml``: those that a sweep also has, read like a sweep's, and three of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from sweep import values
from sweep.errors import OptionError, unknown
from sweep.options import Options, parse_options

_SHARED = (
    "model",
    "granularity",
    "batch",
    "warmup",
    "weights",
    "num_classes",
    "inputs",
    "seed",
    "timeout_s",
    "results",
    "report",
    "dry_run",
)


class ProfileOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a profile was asked for.

    ``shared`` holds what means the same in a sweep; its ``warmup`` counts passes, and its ``timeout_s`` is for one
    model on one device (0: an hour).  Empty ``devices`` mean every one that a chain names.
    Of ``passes`` at least three are made where more would take longer than ``model_s`` seconds (0: any time).
    """

    shared: Options
    devices: tuple[str, ...] = ()
    passes: int = 20
    model_s: float = 120.0


PROFILE_OPTIONS = (*_SHARED, "devices", "passes", "model_s")


def parse_profile_options(raw: Mapping[str, Any]) -> ProfileOptions:
    """Make :class:`ProfileOptions` of what a front end was given; raises OptionError as a sweep does."""
    for name in raw:
        if name not in PROFILE_OPTIONS:
            raise OptionError(unknown("option", name, PROFILE_OPTIONS))
    shared = {"batch": "1,8"} | {name: raw[name] for name in _SHARED if name in raw}
    own: dict[str, Any] = {}
    if "devices" in raw:
        own["devices"] = values.items("devices", raw["devices"])
    if "passes" in raw:
        own["passes"] = values.integer("passes", raw["passes"], 1)
    if "model_s" in raw:
        own["model_s"] = values.seconds("model_s", raw["model_s"])
    return ProfileOptions(shared=parse_options(shared), **own)
