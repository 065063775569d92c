"""Whether a run can be trusted: how its responses spread, and what disturbed its devices."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from stage_runtime.formats.row import StageFigures
from stage_runtime.stage.percentiles import percentile
from stage_runtime.telemetry.figures import TelemetryFigures
from stage_runtime.telemetry.throttling import BEFORE

# Fewer batches than this have no spread to speak of.
_LEAST_BATCHES = 4
# Undisturbed runs of half a core under its quota were seen to spread by up to 24 %, of MobileNetV2 at batch 1.
_MOST_SPREAD_PERCENT = 30.0
# Noise without memory stays below this many standard errors (one over the root of the number of batches) ...
_MOST_ERRORS = 3.0
# ... and where the responses hardly differ at all it does not matter how they follow each other.
_LEAST_DRIFT_PERCENT = 5.0
_MOST_STOLEN_PERCENT = 5.0
_MOST_SWAPPED_MB = 1.0
# Of the time that a stage wanted a core it waited at most 27 % where it had precedence, threads of its own
# and its quota's slices included, and 54 to 70 % where the machine was busy with three times its cores.
_MOST_WAITED_SHARE = 0.35
_LEAST_WAITED_PERCENT = 5.0
_NEAR_THE_LIMIT = 0.9
_MOST_BY_OTHERS = 0.1
_THROTTLED_BY_QUOTA_PERCENT = 10.0
_STEADY_GOVERNORS = {None, "performance"}


class Stability(NamedTuple):
    """Interquartile range over median in percent, lag-1 autocorrelation, and why not to trust the run."""

    spread_percent: float | None
    autocorrelation: float | None
    unstable: tuple[str, ...]


def judge(
    responses: Sequence[float],
    window: int,
    stages: Sequence[StageFigures],
    sharing: Sequence[str] = (),
) -> Stability:
    """Judge a run by its measured responses and its stages; ``sharing`` are devices that share their cores.

    A disturbance that slows a device down counts by itself.  Spread and autocorrelation count with one
    batch in flight alone: in a window, responses share their queue and a link's bursts by construction.
    """
    spread, autocorrelation = _spread_percent(responses), _autocorrelation(responses)
    reasons = [text for stage in stages for text in disturbances(stage.device, stage.threads, stage.processors, stage)]
    if window == 1 and spread is not None:
        drifts = autocorrelation is not None and autocorrelation > _MOST_ERRORS / math.sqrt(len(responses))
        if drifts and spread > _LEAST_DRIFT_PERCENT:
            reasons.append(f"responses drift (autocorrelation {autocorrelation:.2f})")
        if spread > _MOST_SPREAD_PERCENT:
            causes = [*itertools.chain.from_iterable(map(_likely_causes, stages))]
            causes += [f"{device} shares its cores with other virtual devices" for device in sharing]
            reasons.append(f"responses spread by {spread:.0f} % ({'; '.join(causes) or 'no cause seen'})")
    return Stability(spread, autocorrelation, tuple(reasons))


def _spread_percent(responses: Sequence[float]) -> float | None:
    if len(responses) < _LEAST_BATCHES:
        return None
    return 100.0 * (percentile(responses, 75) - percentile(responses, 25)) / statistics.median(responses)


def _autocorrelation(responses: Sequence[float]) -> float | None:
    """Give the lag-1 autocorrelation (Box and Jenkins' estimate); None for too few or equal responses."""
    if len(responses) < _LEAST_BATCHES:
        return None
    mean = statistics.fmean(responses)
    away = [each - mean for each in responses]
    whole = sum(each * each for each in away)
    if whole <= 0:
        return None
    return sum(one * following for one, following in itertools.pairwise(away)) / whole


def disturbances(device: str, threads: int, quota: float | None, found: StageFigures | TelemetryFigures) -> list[str]:
    """Name what slowed a device down, steadily or not, by what was found there while its `threads` computed."""
    named = []
    slowed = [what for what in found.throttled if not what.endswith(BEFORE)]
    if slowed:
        named.append(f"{device} slowed itself down: {', '.join(slowed)}")
    if (found.stolen_percent or 0.0) > _MOST_STOLEN_PERCENT:
        named.append(f"{device}: its hypervisor withheld {found.stolen_percent:.0f} % of the processor time")
    if (found.swapped_mb or 0.0) > _MOST_SWAPPED_MB:
        named.append(f"{device} swapped {found.swapped_mb:.0f} MiB")
    if _is_oversubscribed(threads, quota, found):
        named.append(f"{device} is oversubscribed: other processes kept its stage from the processor")
    return named


def _is_oversubscribed(threads: int, quota: float | None, found: StageFigures | TelemetryFigures) -> bool:
    """Say whether the stage waited for a core, or others took the rest of a device that has no more.

    Waiting counts as far as it kept a thread from what the quota grants it: one of half a core, which wants
    more, rests half of the time, be it throttled or while the other half of its core belongs to another device.
    """
    waited, used = found.waited_percent or 0.0, found.cpu_percent / threads
    granted = min(1.0, (quota or threads) / threads)
    if waited > _LEAST_WAITED_PERCENT and used < (1 - _MOST_WAITED_SHARE) * granted * (waited + used):
        return True
    device, limit = found.device_cpu_percent or 0.0, 100.0 * threads
    return device > _NEAR_THE_LIMIT * limit and device - found.cpu_percent > _MOST_BY_OTHERS * limit


def _likely_causes(stage: StageFigures) -> list[str]:
    """Name what does not disturb a steady run, but may be why this one is not."""
    causes = []
    if stage.governor not in _STEADY_GOVERNORS:
        causes.append(f"{stage.device} has the governor {stage.governor}")
    if (stage.quota_throttled_percent or 0.0) > _THROTTLED_BY_QUOTA_PERCENT:
        causes.append(
            f"{stage.device} was throttled by its quota for {stage.quota_throttled_percent:.0f} % of the time"
        )
    return causes
