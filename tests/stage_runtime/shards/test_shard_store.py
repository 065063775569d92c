from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from stage_runtime.errors import FormatError, ShardError
from stage_runtime.formats.manifest import BlockEntry, Manifest, TensorSpec, WeightsSource
from stage_runtime.shards import store as store_module
from stage_runtime.shards.store import ShardStore, read_manifest, require_blocks, total_bytes

_CONTENTS = (b"first block", b"second block, longer", b"first block")  # blocks 0 and 2 are equal
_SPEC = TensorSpec(shape=(1,), dtype="float32", bytes_per_sample=4)


def _manifest(manifest_id: str = "0123456789abcdef") -> Manifest:
    blocks = tuple(
        BlockEntry(
            index=index,
            name=f"block{index}",
            sha256=hashlib.sha256(content).hexdigest(),
            file_bytes=len(content),
            parameter_bytes=4,
            output=_SPEC,
        )
        for index, content in enumerate(_CONTENTS)
    )
    return Manifest(
        schema=1,
        manifest_id=manifest_id,
        model="model",
        granularity="paper",
        num_classes=10,
        weights=WeightsSource(kind="seeded", seed=0),
        input=_SPEC,
        blocks=blocks,
        split_points=(1, 2),
        torch="2",
        torchvision="0",
    )


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    store = ShardStore(tmp_path)
    manifest = _manifest()
    store.manifest_path(manifest.manifest_id).parent.mkdir()
    store.manifest_path(manifest.manifest_id).write_bytes(msgspec.json.encode(manifest))
    (tmp_path / "blocks").mkdir()
    for entry, content in zip(manifest.blocks, _CONTENTS, strict=True):
        store.block_path(entry.sha256).write_bytes(content)
    return store


def test_a_whole_folder_lacks_nothing(store: ShardStore) -> None:
    manifest = store.manifest("0123456789abcdef")
    assert manifest == _manifest()
    assert store.complete(manifest)
    report = store.missing(manifest)
    assert (report.missing, report.needed_bytes) == ((), 0)
    assert report.total_bytes == total_bytes(manifest) == len(_CONTENTS[0]) + len(_CONTENTS[1])
    free = os.statvfs(store.folder)
    assert report.free_bytes == pytest.approx(free.f_bavail * free.f_frsize, rel=0.1)


def test_an_empty_folder_lacks_each_different_block_once(tmp_path: Path) -> None:
    report = ShardStore(tmp_path / "not" / "there").missing(_manifest())
    assert [(block.file_bytes, block.reason) for block in report.missing] == [(11, "absent"), (20, "absent")]
    assert report.needed_bytes == 31
    assert report.free_bytes > 0
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    ("content", "reason"), [(b"short", "5 bytes instead of 20"), (b"SECOND block, longer", "content has the sha256")]
)
def test_a_damaged_block_is_missing(store: ShardStore, content: bytes, reason: str) -> None:
    manifest = _manifest()
    path = store.block_path(manifest.blocks[1].sha256)
    assert store.missing(manifest).missing == ()
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))
    (block,) = ShardStore(store.folder).missing(manifest).missing
    assert block.sha256 == manifest.blocks[1].sha256
    assert block.reason.startswith(reason)


@pytest.mark.parametrize("damage", [b"", b"second BLOCK, longer", None])
def test_an_altered_block_is_removed_so_that_it_is_copied_again(store: ShardStore, damage: bytes | None) -> None:
    manifest = _manifest()
    require_blocks(store, manifest, manifest.blocks)
    path = store.block_path(manifest.blocks[1].sha256)
    path.unlink() if damage is None else path.write_bytes(damage)
    os.utime(store.folder / "blocks")
    with pytest.raises(ShardError, match=r"model: block file .* is not usable \(.*copy the model's shards"):
        require_blocks(store, manifest, manifest.blocks)
    assert not path.exists()
    assert store.block_path(manifest.blocks[0].sha256).exists()


def test_a_file_is_hashed_once(store: ShardStore, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    plain = store_module.sha256_of
    monkeypatch.setattr(store_module, "sha256_of", lambda path: (hashed.append(path), plain(path))[1])
    manifest = _manifest()
    assert store.faults(manifest.blocks) == []
    assert len(hashed) == 2
    assert ShardStore(store.folder).faults(manifest.blocks) == []
    assert len(hashed) == 2
    os.utime(store.block_path(manifest.blocks[0].sha256), ns=(1, 1))
    assert store.faults(manifest.blocks) == []
    assert len(hashed) == 3


def test_a_damaged_note_of_what_was_hashed_only_costs_time(store: ShardStore) -> None:
    store.faults(_manifest().blocks)
    (store.folder / "blocks" / ".verified.json").write_text("{")
    assert store.faults(_manifest().blocks) == []


@pytest.mark.parametrize("manifest_id", ["", "..", "0123456789ABCDEF", "0123456789abcdef0", "/etc/0123456789a"])
def test_an_id_that_could_leave_the_folder_is_refused(store: ShardStore, manifest_id: str) -> None:
    with pytest.raises(FormatError, match="is not 16 hexadecimal digits"):
        store.manifest(manifest_id)


def test_a_wrong_manifest_is_refused(store: ShardStore) -> None:
    path = store.manifest_path("0123456789abcdef")
    path.write_bytes(msgspec.json.encode(_manifest("fedcba9876543210")))
    with pytest.raises(ShardError, match="is the manifest fedcba9876543210"):
        store.manifest("0123456789abcdef")
    good = msgspec.to_builtins(_manifest())
    for wrong, complaint in (
        (good | {"extra": 1}, "unknown field `extra`"),
        (good | {"schema": 2}, "has schema 2, this runtime reads 1"),
        (good | {"blocks": [good["blocks"][0] | {"sha256": "../../etc/passwd"}]}, "has the sha256 '../../etc/passwd'"),
    ):
        path.write_bytes(msgspec.json.encode(wrong))
        with pytest.raises(FormatError) as refusal:
            read_manifest(path)
        assert complaint in str(refusal.value)
        assert str(path) in str(refusal.value)
    path.unlink()
    with pytest.raises(ShardError, match="no manifest at"):
        store.manifest("0123456789abcdef")
