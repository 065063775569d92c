"""Every written format with something changed in it is taken, or refused by one error of this project's own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analysis
from analysis.campaigns import Campaign
from analysis.provenance import read_provenance
from stage_runtime.errors import CellError, FormatError, SplitbedError
from stage_runtime.formats.cell import Cell
from stage_runtime.formats.manifest import Manifest
from stage_runtime.stage.__main__ import _read_config
from stage_runtime.stage.plan import check_device, plan_stage, read_manifest
from stage_runtime.wire.messages import Configure, decode
from sweep.errors import InventoryError
from sweep.inventory import _chains, _default_chains, _device, _networks
from sweep.journal import read_rows
from sweep.options import OPTION_HELP, parse_options, parse_words
from tests.analysis.synthetic import Plan, make_row
from tests.fuzz.changing import CALM, changed, changed_bytes
from tests.stage_runtime.stage.chain import made_up_manifest

MANIFEST: dict[str, Any] = json.loads(msgspec.json.encode(made_up_manifest((3, 4))))
CELL: dict[str, Any] = {
    "cell_id": "0" * 16, "repeat": 0, "model": "made_up", "granularity": "all", "cut": [1], "split": "P1", "chain": "c",
    "devices": ["a", "b"], "network": "lan", "transport": "tcp", "engine": "eager", "codec": "none", "batch": 1,
    "batches": 2, "warmup": 1, "window": 1, "manifest_id": "made-up", "inputs_id": "i", "seed": 0, "timeout_s": 9.0,
    "stages": [
        {"device": "a", "address": "127.0.0.1", "port": 1, "first": 0, "last": 1, "link_mbit": 5.0, "link_rtt_ms": 4.0},
        {"device": "b", "address": "127.0.0.2", "port": 1, "first": 1, "last": 4},
    ],
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "device": "a", "data_address": "127.0.0.1", "port": 1, "control_socket": "/s", "shards_dir": "/d",
    "inputs_dir": "/i",    "secret_file": "/k", "log_file": "/l", "lease_file": "/e", "idle_s": 9.0,
    "world": {"id": "w", "members": [{"device": "a", "address": "127.0.0.1", "port": 1}], "store_port": 2},
}  # fmt: skip
ROW: dict[str, Any] = json.loads(msgspec.json.encode(make_row(Plan(batches=2), "lan", "P3", 1, 0)))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def refusal(work: Callable[[], Any]) -> str | None:
    """Do it, and give the text of this project's own error, or None where there was none."""
    try:
        work()
    except SplitbedError as exc:
        return str(exc)
    return None


def _text(document: Any) -> bytes:
    return json.dumps(document).encode("utf-8", "replace")


@settings(CALM, max_examples=300)
@given(cell=changed(CELL), number=st.integers(-2, 3), manifest=st.one_of(st.just(MANIFEST), changed(MANIFEST)))
def test_a_changed_cell_or_manifest_is_planned_or_refused(cell: Any, number: int, manifest: Any) -> None:
    try:
        told = decode(_text({"runtime": "1", "stage": number, "cell": cell}), Configure)
        model = msgspec.json.decode(_text(manifest), type=Manifest)
        check_device(told.cell, told.stage, "b")
        plan = plan_stage(told.cell, told.stage, model)
    except (FormatError, CellError, msgspec.ValidationError):
        return
    assert 0 <= plan.mine.first <= plan.mine.last <= len(model.blocks)
    assert plan.takes.payload_bytes >= 0
    assert plan.slots >= 1


@settings(CALM, max_examples=150)
@given(manifest=changed_bytes(_text(MANIFEST)))
def test_a_changed_manifest_file_is_read_or_refused_by_its_path(folder: Path, manifest: bytes) -> None:
    (folder / "m").mkdir(exist_ok=True)
    (folder / "m" / "manifest.json").write_bytes(manifest)
    read_manifest.cache_clear()
    said = refusal(lambda: read_manifest(folder, "m"))
    assert said is None or str(folder / "m" / "manifest.json") in said


@settings(CALM, max_examples=150)
@given(config=st.one_of(changed(CONFIG).map(_text), changed_bytes(_text(CONFIG))))
def test_a_changed_configuration_is_read_or_refused_by_its_path(folder: Path, config: bytes) -> None:
    path = folder / "stage.json"
    path.write_bytes(config)
    said = refusal(lambda: _read_config(path))
    assert said is None or str(path) in said


@settings(CALM, max_examples=100)
@given(row=st.one_of(changed(ROW).map(_text), changed_bytes(_text(ROW))))
def test_a_changed_row_is_analysed_or_refused_and_costs_no_other_row(folder: Path, row: bytes) -> None:
    path = folder / "journal.jsonl"
    again = msgspec.json.encode(make_row(Plan(batches=2), "lan", "P8", 1, 0))
    path.write_bytes(_text(ROW) + b"\n" + row + b"\n" + again + b"\n")
    found: list[set[str]] = []
    for read in (lambda: set(analysis.load(path)["split"]), lambda: {row.split for row in read_rows(path)}):
        said = refusal(lambda read=read: found.append(read()))
        assert said is None or str(path) in said
    assert all(splits >= {"P3", "P8"} for splits in found)


@settings(CALM, max_examples=100)
@given(text=st.one_of(changed({"a": [{"b": 1}, 2], "c": {"d": "e"}}).map(_text), st.binary(max_size=40)))
def test_whatever_a_campaign_says_of_itself_is_shown(folder: Path, text: bytes) -> None:
    (folder / "campaign.json").write_bytes(text)
    (found,) = read_provenance(Campaign(folder=folder, journal=folder / "journal.jsonl"))
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in found.entries)


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.lists(st.text(max_size=4), max_size=3),
    st.sampled_from(["9" * 5000, "-0", "1e400", "nan", "٣", "[", "a,,b", "P1-P99999999", "P3-P1", "vgg16:P3"]),
)  # fmt: skip


@settings(CALM, max_examples=500)
@given(st.dictionaries(st.sampled_from([*OPTION_HELP, "x"]), _VALUES, max_size=4))
def test_any_options_are_taken_or_refused_by_name(told: dict[str, Any]) -> None:
    said = refusal(lambda: parse_options({"model": "vgg16", **told}))
    assert said is None or "option" in said


@settings(CALM, max_examples=200)
@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_words_are_options_or_refused(words: list[str]) -> None:
    assert refusal(lambda: parse_words(words)) != ""


HOSTS: dict[str, Any] = {
    name: {
        "device_kind": "virtual", "data_address": "10.0.0.1", "stage_port": 47300, "device_home": "/h",
        "virtual_cpus": 0.5, "virtual_cores": "0,2-3", "virtual_memory_mb": 512,
    }
    for name in ("a", "b")
}  # fmt: skip
INVENTORY: dict[str, Any] = {
    "hosts": HOSTS,
    "chains": {"pair": ["a", "b"], "solo": ["b"]},
    "default_chains": ["pair"],
    "networks": {
        "lan": {"rate_mbit": 10, "delay_ms": 2, "jitter_ms": 1, "loss_percent": 0, "hops": [{"rate_mbit": 5}]}
    },
}


@settings(CALM, max_examples=500)
@given(changed(INVENTORY))
def test_any_inventory_is_taken_or_refused(told: Any) -> None:
    hosts = told.get("hosts") if isinstance(told.get("hosts"), dict) else {}
    try:
        devices = {name: _device(name, host) for name, host in hosts.items() if isinstance(host, dict)}
        chains = _chains(told.get("chains"), hosts, frozenset())
        default = _default_chains(told.get("default_chains"), chains)
        _networks(told.get("networks"))
    except InventoryError:
        return
    assert all(0 < device.stage_port < 2**16 for device in devices.values())
    assert set(default) <= chains.keys()


def test_the_documents_that_are_changed_are_good_ones() -> None:
    cell = msgspec.json.decode(_text(CELL), type=Cell)
    assert plan_stage(cell, 1, msgspec.json.decode(_text(MANIFEST), type=Manifest)).mine.device == "b"
