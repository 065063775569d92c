"""Put conditions into lanes: chains that share nothing run side by side."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.matrix import ConditionPlan
from sweep.testbed import Testbed

_THIS_MACHINE = "(the control node)"


def lanes_of(conditions: Sequence[ConditionPlan], testbed: Testbed) -> tuple[tuple[ConditionPlan, ...], ...]:
    """Group conditions so that two lanes share no device; order within a lane is kept.

    Virtual devices share the control node's cores, so all chains with one are in one lane.
    """
    lanes: list[tuple[set[str], list[int]]] = []
    for place, condition in enumerate(conditions):
        needs = {_THIS_MACHINE if testbed.devices[device].virtual else device for device in condition.devices}
        sharing = [lane for lane in lanes if lane[0] & needs]
        for lane in sharing:
            lanes.remove(lane)
        taken = needs.union(*(lane[0] for lane in sharing))
        lanes.append((taken, sorted([place, *(one for lane in sharing for one in lane[1])])))
    return tuple(tuple(conditions[place] for place in lane) for _, lane in lanes)
