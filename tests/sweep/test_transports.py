"""PyTorch RPC is measured unasked on private networks alone, and TLS over TCP alone."""

from __future__ import annotations

import msgspec
import pytest

from sweep.errors import OptionError
from sweep.matrix import plan_matrix
from sweep.options import Options, parse_options
from sweep.testbed import Testbed as Bed  # pytest takes a module's name in Test* for tests
from sweep.transports import rpc_left_out, transports_of
from tests.sweep.support import small_testbed

POINTS = {"alexnet": tuple(range(1, 13))}


def asked(**given: str) -> Options:
    return parse_options({"model": "alexnet", "chains": "pair", "networks": "lan", "splits": "P1", **given})


def with_addresses(*addresses: str) -> Bed:
    bed = small_testbed()
    devices = dict(bed.devices)
    for name, address in zip(bed.chains["pair"], addresses, strict=True):
        devices[name] = msgspec.structs.replace(devices[name], data_address=address)
    return msgspec.structs.replace(bed, devices=devices)


PRIVATE = with_addresses("10.0.0.1", "192.168.0.2")
HALF_OPEN = with_addresses("10.0.0.1", "203.0.113.7")


def test_a_private_network_has_both() -> None:
    assert transports_of(asked(), PRIVATE, "pair") == ("tcp", "rpc")
    assert rpc_left_out(asked(), PRIVATE) == []


def test_elsewhere_rpc_is_left_out_and_the_device_named() -> None:
    assert transports_of(asked(), HALF_OPEN, "pair") == ("tcp",)
    (note,) = rpc_left_out(asked(), HALF_OPEN)
    assert note.startswith("pair is measured without rpc: it runs what it is sent")
    assert HALF_OPEN.chains["pair"][1] in note
    assert HALF_OPEN.chains["pair"][0] not in note
    assert "transports=tcp,rpc" in note


@pytest.mark.parametrize("given", ["rpc", "tcp,rpc", "tcp"])
def test_what_is_asked_for_is_taken(given: str) -> None:
    assert transports_of(asked(transports=given), HALF_OPEN, "pair") == tuple(given.split(","))
    assert rpc_left_out(asked(transports=given), HALF_OPEN) == []


def test_the_plan_keeps_to_it() -> None:
    for bed, expected in ((PRIVATE, {"tcp", "rpc"}), (HALF_OPEN, {"tcp"})):
        (plan,) = plan_matrix(asked(), bed, POINTS, {})
        assert {run.cell.transport for run in plan.runs} == expected


def test_tls_is_over_tcp_alone() -> None:
    assert transports_of(asked(tls="true"), PRIVATE, "pair") == ("tcp",)
    assert rpc_left_out(asked(tls="true"), HALF_OPEN) == []
    with pytest.raises(OptionError, match="option `tls`: what rpc sends cannot be encrypted; remedy: transports=tcp"):
        asked(tls="true", transports="tcp,rpc")


def test_cells_under_tls_are_other_cells_and_those_without_keep_their_ids() -> None:
    def cells(**given: str) -> dict[str, bool]:
        (plan,) = plan_matrix(asked(transports="tcp", **given), PRIVATE, POINTS, {})
        return {run.cell.cell_id: run.cell.tls for run in plan.runs}

    plain, off, on = cells(), cells(tls="false"), cells(tls="true")
    assert plain == off
    assert set(plain.values()) == {False}
    assert set(on.values()) == {True}
    assert not plain.keys() & on.keys()
