"""What the names in a campaign stand for.

Rows carry the names of chains, devices and network conditions, and the analysis takes rows of one
name for one thing.  So a campaign remembers, in its ``campaign.json``, what each name stood for,
and is not gone on with once the inventory means something else by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from stage_runtime.formats.ready import make_ready
from sweep.campaign import JOURNAL
from sweep.errors import CampaignError
from sweep.options import Options
from sweep.testbed import Testbed

CAMPAIGN_FILE = "campaign.json"


class Definitions(msgspec.Struct, kw_only=True):
    """Chains, network conditions and devices by name, as plain JSON."""

    chains: dict[str, Any] = {}
    networks: dict[str, Any] = {}
    devices: dict[str, Any] = {}


def definitions_of(options: Options, testbed: Testbed) -> Definitions:
    """Collect what the chains and networks that `options` name stand for."""
    chains = {name: testbed.chains[name] for name in testbed.pick_chains(options.chains)}
    devices = dict.fromkeys(device for chain in chains.values() for device in chain)
    found = Definitions(
        chains=chains,
        networks={name: testbed.networks[name] for name in testbed.pick_networks(options.networks)},
        devices={name: testbed.devices[name].definition for name in devices},
    )
    return msgspec.json.decode(msgspec.json.encode(found), type=Definitions)


def agree(folder: Path, asked: Definitions) -> Definitions:
    """Add what `asked` defines to what the campaign in `folder` remembers.

    Raises CampaignError where a name stood for something else when its rows were measured.
    """
    journal = folder / JOURNAL
    measured = journal.exists() and journal.stat().st_size > 0
    remembered = _read(folder / CAMPAIGN_FILE) if measured else Definitions()
    for what in Definitions.__struct_fields__:
        before, now = getattr(remembered, what), getattr(asked, what)
        for name in before.keys() & now.keys():
            if before[name] != now[name]:
                raise CampaignError(
                    f"campaign `{folder}`: `{name}` of {what} was {_show(before[name])} when it was measured and is "
                    f"{_show(now[name])} now; remedy: fresh=true begins another campaign"
                )
        setattr(asked, what, before | now)
    return asked


def _read(path: Path) -> Definitions:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Definitions)
    except FileNotFoundError:
        return Definitions()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise CampaignError(f"{path}: cannot be read ({exc}); remedy: fresh=true begins another campaign") from exc


def _show(value: object) -> str:
    return msgspec.json.encode(value).decode()


make_ready(Definitions)
