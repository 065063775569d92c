"""One campaign, one meaning of each name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from sweep.campaign import Campaign
from sweep.definitions import CAMPAIGN_FILE, Definitions, agree, definitions_of
from sweep.errors import CampaignError
from tests.sweep.support import LAN, device, options, small_testbed

TESTBED = small_testbed()


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """Give a campaign that measured the pair under lan."""
    with Campaign(tmp_path) as campaign:
        campaign.write_json(CAMPAIGN_FILE, definitions_of(options(), TESTBED))
        campaign.journal_path.write_text("{}\n")
    return tmp_path


def test_what_options_name_is_collected() -> None:
    found = definitions_of(options(), TESTBED)
    assert found.chains == {"pair": ["v1", "v2"]}
    assert found.networks == {"lan": LAN}
    assert found.devices == {
        name: {"kind": "virtual", "cpus": 0.5, "cores": [], "memory_mb": None} for name in ("v1", "v2")
    }


def test_a_campaign_grows_by_other_names(measured: Path) -> None:
    grown = agree(measured, definitions_of(options(networks="slow", chains="trio", splits="all"), TESTBED))
    assert set(grown.chains) == {"pair", "trio"}
    assert set(grown.networks) == {"lan", "slow"}
    assert set(grown.devices) == {"v1", "v2", "v3"}
    assert agree(measured, definitions_of(options(), TESTBED)) == definitions_of(options(), TESTBED)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"networks": {"lan": LAN | {"delay_ms": 3}}}, "`lan` of networks"),
        ({"chains": {"pair": ("v2", "v1")}}, "`pair` of chains"),
        ({"devices": TESTBED.devices | {"v2": device("v2", kind="pi")}}, "`v2` of devices"),
        ({"devices": TESTBED.devices | {"v1": device("v1", cpus=1.0)}}, "`v1` of devices"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_name_that_means_something_else_now_is_refused(measured: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(CampaignError, match="fresh=true begins another campaign") as caught:
        agree(measured, definitions_of(options(), small_testbed(**changed)))
    assert said in str(caught.value)


def test_before_anything_is_measured_a_name_may_change(measured: Path) -> None:
    changed = small_testbed(chains={"pair": ("v2", "v1")})
    (measured / "journal.jsonl").write_text("")
    assert agree(measured, definitions_of(options(), changed)).chains == {"pair": ["v2", "v1"]}
    assert agree(measured / "none", definitions_of(options(), changed)).chains == {"pair": ["v2", "v1"]}


def test_a_campaign_file_that_does_not_parse_is_refused(measured: Path) -> None:
    (measured / CAMPAIGN_FILE).write_text("{")
    with pytest.raises(CampaignError, match=r"campaign\.json: cannot be read"):
        agree(measured, Definitions())


def test_other_content_of_the_campaign_file_does_not_matter(measured: Path) -> None:
    content = msgspec.json.decode((measured / CAMPAIGN_FILE).read_bytes())
    (measured / CAMPAIGN_FILE).write_bytes(msgspec.json.encode(content | {"options": {"a": 1}}))
    assert agree(measured, Definitions()).networks == {"lan": LAN}
