"""An RPC world is joined on a private network alone, unless it was asked for elsewhere."""

from __future__ import annotations

import pytest

from stage_runtime.errors import TransportError
from stage_runtime.formats.stage_config import WorldConfig, WorldMember
from stage_runtime.stage.joining import refuse_public


def world(*addresses: str, public: bool = False) -> WorldConfig:
    members = tuple(
        WorldMember(device=f"dev{number}", address=address, port=47300) for number, address in enumerate(addresses)
    )
    return WorldConfig(id="w", members=members, store_port=47302, public=public)


def test_a_private_network_will_do() -> None:
    refuse_public(world("10.0.0.1", "192.168.1.2", "127.0.0.1"))


def test_any_other_is_refused_with_the_device_and_the_remedy() -> None:
    with pytest.raises(TransportError) as refused:
        refuse_public(world("10.0.0.1", "203.0.113.7"))
    assert "dev1 (203.0.113.7) is on no private network" in str(refused.value)
    assert "dev0" not in str(refused.value)
    assert "stage_service_world_public" in str(refused.value)


def test_unless_it_was_asked_for() -> None:
    refuse_public(world("10.0.0.1", "203.0.113.7", public=True))
