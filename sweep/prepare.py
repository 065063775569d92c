"""Get the devices ready by plays: bring up, provision, distribute shards.

Each step is skipped by itself where nothing changed.  A device that cannot be made ready is
*parked*: the chains that need it do not run, the others do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sweep.errors import PlayError
from sweep.places import CACHE
from sweep.plays import run_play
from sweep.testbed import Testbed


def prepare_devices(
    testbed: Testbed,
    devices: tuple[str, ...],
    *,
    shards: Mapping[str, tuple[str, str]],
    variables: Mapping[str, Any],
    work: Path,
    say: Callable[[str], None],
    stopping: Callable[[], bool],
    cancelled: Callable[[], bool],
) -> dict[str, str]:
    """Bring `devices` up, provision them and give them their shards; return those parked, with reasons.

    `shards` maps a model to its (manifest_id, inputs_id).  Once `stopping`, no further step is
    begun; once `cancelled`, the running one is ended too.
    """
    parked: dict[str, str] = {}

    def play(name: str, hosts: tuple[str, ...], extra: Mapping[str, Any], what: str) -> None:
        hosts = tuple(host for host in hosts if host not in parked)
        if not hosts or stopping():
            return
        say(what)
        try:
            result = run_play(
                name,
                inventory=testbed.path,
                work=work,
                limit=",".join((*hosts, "localhost")),
                variables=dict(variables) | dict(extra),
                cancelled=cancelled,
            )
        except PlayError as exc:
            parked.update(dict.fromkeys(hosts, str(exc)))
            return
        parked.update({host: reason for host, reason in result.reasons.items() if host in hosts})

    virtual = tuple(name for name in devices if testbed.devices[name].virtual)
    if virtual:
        play("virtual_up", virtual, {}, f"bringing up virtual devices: {', '.join(virtual)}")
    play("provision", devices, {}, f"provisioning: {', '.join(devices)}")
    for model, (manifest_id, inputs_id) in shards.items():
        play(
            "shards",
            devices,
            {
                "model_shards_manifest_id": manifest_id,
                "model_shards_inputs_id": inputs_id,
                "model_shards_cache": str(CACHE),
            },
            f"distributing shards: {model}",
        )
    return parked
