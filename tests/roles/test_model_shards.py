"""The role model_shards gives a device what it lacks of a model, and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stage_runtime.formats.manifest import MANIFEST_SCHEMA, BlockEntry, Manifest, TensorSpec, WeightsSource
from tests.roles.local_hosts import PROJECT, LocalHosts

MANIFEST_ID = "0123456789abcdef"
INPUTS_ID = "fedcba9876543210"
SMALL, LARGE = b"s" * 1000, b"L" * 3_000_000
_TENSOR = TensorSpec(shape=(1,), dtype="float32", bytes_per_sample=4)


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _block_path(content: bytes) -> str:
    return f"shards/blocks/{_sha(content)}.safetensors"


def _write_cache(cache: Path) -> None:
    """Write a model of one small and one large block, and inputs."""
    blocks = tuple(
        BlockEntry(
            index=index,
            name=f"block{index}",
            sha256=_sha(content),
            file_bytes=len(content),
            parameter_bytes=len(content),
            output=_TENSOR,
        )
        for index, content in enumerate((SMALL, LARGE))
    )
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        manifest_id=MANIFEST_ID,
        model="two_blocks",
        granularity="all",
        num_classes=10,
        weights=WeightsSource(kind="seeded", seed=0),
        input=_TENSOR,
        blocks=blocks,
        split_points=(1,),
        torch="2.13.0",
        torchvision="0.28.0",
    )
    for path, content in {
        f"shards/{MANIFEST_ID}/manifest.json": msgspec.json.encode(manifest),
        _block_path(SMALL): SMALL,
        _block_path(LARGE): LARGE,
        f"inputs/{INPUTS_ID}.safetensors": b"pictures",
    }.items():
        (cache / path).parent.mkdir(parents=True, exist_ok=True)
        (cache / path).write_bytes(content)


@pytest.fixture
def hosts(tmp_path: Path) -> LocalHosts:
    """Two provisioned devices that hold no model yet, and a cache with one."""
    cache = tmp_path / "cache"
    _write_cache(cache)
    made = LocalHosts(
        tmp_path,
        ("d1", "d2"),
        device_python=sys.executable,
        model_shards_cache=str(cache),
        model_shards_manifest_id=MANIFEST_ID,
        model_shards_inputs_id=INPUTS_ID,
        model_shards_bundle_below_mb=1,
    )
    for name in ("d1", "d2"):
        made.home(name).mkdir(parents=True)
        (made.home(name) / "runtime").symlink_to(PROJECT)
    return made


@pytest.fixture
def filled(hosts: LocalHosts) -> LocalHosts:
    """Give both devices what the role gives them (see the first test)."""
    for name in ("d1", "d2"):
        shutil.copytree(hosts.folder / "cache", hosts.home(name), dirs_exist_ok=True)
    return hosts


def _held(home: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for folder in ("shards", "inputs")
        for path in (home / folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def _cached(folder: Path) -> dict[str, bytes]:
    return _held(folder / "cache")


def test_devices_get_every_file_then_nothing_more(hosts: LocalHosts) -> None:
    first = hosts.role("model_shards")
    assert first.status == 0, first.output
    assert first.changed == {"d1": 2, "d2": 2}  # the bundle and the large block
    assert _held(hosts.home("d1")) == _held(hosts.home("d2")) == _cached(hosts.folder)
    assert list((hosts.folder / "cache" / "bundles").iterdir()) == []
    second = hosts.role("model_shards")
    assert second.changed == {"d1": 0, "d2": 0}, second.output
    assert not second.task_ran("Hash the device's blocks after copying")


def test_only_what_a_device_lacks_is_copied(filled: LocalHosts) -> None:
    (filled.home("d1") / _block_path(LARGE)).unlink()
    (filled.home("d2") / _block_path(SMALL)).write_bytes(SMALL[:-1])  # as if copying had been cut short
    again = filled.role("model_shards")
    assert again.changed == {"d1": 1, "d2": 1}, again.output
    assert _held(filled.home("d1")) == _held(filled.home("d2")) == _cached(filled.folder)


def test_graphs_and_reference_outputs_come_along_and_other_versions_of_the_same_size_too(filled: LocalHosts) -> None:
    cache = filled.folder / "cache"
    graphs = cache / "shards" / MANIFEST_ID / "graphs"
    graphs.mkdir()
    reference = cache / "inputs" / f"{INPUTS_ID}-{MANIFEST_ID}.safetensors"
    of_another_model = reference.with_name(f"{INPUTS_ID}-another_model.safetensors")
    for path in (graphs / "0-1.onnx", graphs / "1-2.onnx", reference, of_another_model):
        path.write_bytes(b"one version")
    needed = {path: content for path, content in _cached(filled.folder).items() if "another" not in path}
    first = filled.role("model_shards")
    assert first.changed == {"d1": 1, "d2": 1}, first.output
    assert _held(filled.home("d1")) == _held(filled.home("d2")) == needed
    assert filled.role("model_shards").changed == {"d1": 0, "d2": 0}
    # each has another version of one of them
    graph, output = (str(path.relative_to(cache)) for path in (graphs / "1-2.onnx", reference))
    (filled.home("d1") / graph).write_bytes(b"old version")
    (filled.home("d2") / output).write_bytes(b"old version")
    again = filled.role("model_shards")
    assert again.changed == {"d1": 1, "d2": 1}, again.output
    assert _held(filled.home("d1")) == _held(filled.home("d2")) == needed


def test_check_mode_tells_the_change_and_copies_nothing(hosts: LocalHosts) -> None:
    checked = hosts.role("model_shards", check_mode=True)
    assert checked.status == 0, checked.output
    assert checked.changed == {"d1": 1, "d2": 1}
    assert _held(hosts.home("d1")) == {}


def test_an_altered_block_of_the_right_size_is_found_and_replaced_on_demand(filled: LocalHosts) -> None:
    altered = filled.home("d1") / _block_path(SMALL)
    altered.write_bytes(b"x" * len(SMALL))
    again = filled.role("model_shards", model_shards_verify=True)
    assert again.changed == {"d1": 1, "d2": 0}, again.output
    assert altered.read_bytes() == SMALL


def test_a_block_whose_content_is_wrong_in_the_cache_is_refused(hosts: LocalHosts) -> None:
    (hosts.folder / "cache" / _block_path(SMALL)).write_bytes(b"x" * len(SMALL))
    refused = hosts.role("model_shards")
    assert refused.status != 0
    assert f"d1: after copying, blocks of model {MANIFEST_ID}" in refused.message
    assert _sha(SMALL) in refused.message


def test_a_device_that_is_not_provisioned_is_named(hosts: LocalHosts) -> None:
    (hosts.home("d2") / "runtime").unlink()
    hosts.home("d2").rmdir()
    refused = hosts.role("model_shards")
    assert f'd2: device_home "{hosts.home("d2")}" does not exist there. Provision the device first' in refused.message


def test_an_unknown_model_is_refused_before_any_device_is_asked(hosts: LocalHosts) -> None:
    refused = hosts.role("model_shards", model_shards_manifest_id="0" * 16)
    assert refused.status != 0
    assert f'model_shards_manifest_id is "{"0" * 16}"' in refused.message
    assert not refused.task_ran("Ask the device for its files and free space")


@pytest.fixture
def small_disk(hosts: LocalHosts) -> Iterator[Path]:
    """Put d1's home on a file system of 2 MiB."""
    home = hosts.home("d1")
    subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(home)], check=True)
    yield home
    subprocess.run(["/bin/umount", str(home)], check=True)


@pytest.mark.integration
def test_a_full_disk_is_told_before_anything_is_copied(hosts: LocalHosts, small_disk: Path) -> None:
    refused = hosts.role("model_shards")
    assert refused.status != 0
    assert f"d1: the disk of {small_disk} has 2.0 MiB free, and 2.9 MiB are needed" in refused.message
    assert list(small_disk.iterdir()) == []
