"""A folder of shards, on the control node or on a device, read without torch.

::

    <folder>/<manifest_id>/manifest.json
    <folder>/blocks/<sha256>.safetensors
    <folder>/blocks/.verified.json       which files were hashed, at which size and time
"""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

import msgspec

from stage_runtime.errors import FormatError, ShardError
from stage_runtime.files import sha256_of, write_bytes
from stage_runtime.formats.manifest import MANIFEST_SCHEMA, BlockEntry, Manifest

_MANIFEST_ID = re.compile(r"[0-9a-f]{16}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class MissingBlock(msgspec.Struct, frozen=True, kw_only=True):
    """A block file that a device must still be given, and why."""

    sha256: str
    file_bytes: int
    reason: str


class MissingReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder lacks of a manifest; all sizes are bytes.

    ``needed_bytes`` is what copying the missing blocks takes; ``free_bytes`` what the file
    system has left for this user.
    """

    manifest_id: str
    missing: tuple[MissingBlock, ...]
    needed_bytes: int
    free_bytes: int
    total_bytes: int


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest file; FormatError when it is not one, ShardError when absent."""
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as exc:
        raise ShardError(f"no manifest at {path}; copy the model's shards to this machine first") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise FormatError(f"{path} is no shard manifest: {exc}") from exc
    if manifest.schema != MANIFEST_SCHEMA:
        raise FormatError(
            f"{path} has schema {manifest.schema}, this runtime reads {MANIFEST_SCHEMA}; make the shards anew"
        )
    for entry in manifest.blocks:
        if not _SHA256.fullmatch(entry.sha256):
            raise FormatError(f"{path}: block {entry.index} has the sha256 {entry.sha256!r}")
    return manifest


class ShardStore:
    """A folder of shards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._verified_file = folder / "blocks" / ".verified.json"

    def manifest_path(self, manifest_id: str) -> Path:
        """Give where a manifest lies; FormatError when the id could not be one."""
        if not _MANIFEST_ID.fullmatch(manifest_id):
            raise FormatError(f"manifest id {manifest_id!r} is not 16 hexadecimal digits")
        return self.folder / manifest_id / "manifest.json"

    def manifest(self, manifest_id: str) -> Manifest:
        """Read a manifest of this folder; ShardError when it is absent or another one."""
        path = self.manifest_path(manifest_id)
        manifest = read_manifest(path)
        if manifest.manifest_id != manifest_id:
            raise ShardError(f"{path} is the manifest {manifest.manifest_id}; copy the right one")
        return manifest

    def block_path(self, sha256: str) -> Path:
        """Give where a block's file lies."""
        return self.folder / "blocks" / f"{sha256}.safetensors"

    def complete(self, manifest: Manifest) -> bool:
        """Say whether every block is there with its right size (contents are not read)."""
        return all(self._size_of(entry) == entry.file_bytes for entry in manifest.blocks)

    def faults(self, entries: tuple[BlockEntry, ...]) -> list[MissingBlock]:
        """Hash the blocks' files and list those that are absent or not what they must be.

        A file that was hashed before and has the same size and modification time is taken as
        unchanged.
        """
        verified = self._read_verified()
        before = dict(verified)
        found: dict[str, MissingBlock] = {}
        for entry in {entry.sha256: entry for entry in entries}.values():
            reason = self._fault(entry, verified)
            if reason:
                found[entry.sha256] = MissingBlock(sha256=entry.sha256, file_bytes=entry.file_bytes, reason=reason)
        if verified != before:
            write_bytes(self._verified_file, msgspec.json.encode(verified, order="sorted"))
        return list(found.values())

    def missing(self, manifest: Manifest) -> MissingReport:
        """Say what the folder lacks of a manifest, and whether there is room for it."""
        faults = self.faults(manifest.blocks)
        existing = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        return MissingReport(
            manifest_id=manifest.manifest_id,
            missing=tuple(faults),
            needed_bytes=sum(fault.file_bytes for fault in faults),
            free_bytes=shutil.disk_usage(existing).free,
            total_bytes=total_bytes(manifest),
        )

    def _size_of(self, entry: BlockEntry) -> int | None:
        try:
            return self.block_path(entry.sha256).stat().st_size
        except FileNotFoundError:
            return None

    def _fault(self, entry: BlockEntry, verified: dict[str, tuple[int, int]]) -> str:
        path = self.block_path(entry.sha256)
        try:
            status = path.stat()
        except FileNotFoundError:
            return "absent"
        if status.st_size != entry.file_bytes:
            return f"{status.st_size} bytes instead of {entry.file_bytes}"
        seen = (status.st_size, status.st_mtime_ns)
        if verified.get(entry.sha256) != seen:
            actual = sha256_of(path)
            if actual != entry.sha256:
                return f"content has the sha256 {actual}"
            verified[entry.sha256] = seen
        return ""

    def _read_verified(self) -> dict[str, tuple[int, int]]:
        try:
            return msgspec.json.decode(self._verified_file.read_bytes(), type=dict[str, tuple[int, int]])
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return {}  # it saves time only: without it everything is hashed again


def require_blocks(store: ShardStore, manifest: Manifest, entries: tuple[BlockEntry, ...]) -> None:
    """Raise ShardError when a block of these is absent or altered.

    An altered file is removed first: its name promises a content that it has not, and whoever copies shards looks at
    names and sizes.
    """
    faults = store.faults(entries)
    for fault in faults:
        with contextlib.suppress(OSError):  # it may be absent, or on a disk that is read only
            store.block_path(fault.sha256).unlink()
    for fault in faults:
        raise ShardError(
            f"{manifest.model}: block file {store.block_path(fault.sha256)} is not usable "
            f"({fault.reason}); copy the model's shards to this machine again"
        )


def total_bytes(manifest: Manifest) -> int:
    """Count the bytes of a manifest's block files, each different file once."""
    return sum({entry.sha256: entry.file_bytes for entry in manifest.blocks}.values())
