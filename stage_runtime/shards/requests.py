"""What shards are asked for, and which manifest answered the same request before.

Needs no torch: a second request for the same shards is answered from here.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from pathlib import Path

import msgspec

from stage_runtime.errors import FormatError, ShardError
from stage_runtime.files import write_bytes
from stage_runtime.formats.manifest import Granularity, Manifest
from stage_runtime.models.names import is_user_model, is_weights_file
from stage_runtime.shards.store import ShardStore

_PACKAGE = Path(__file__).parent.parent


class ShardRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Shards to be made: ``model`` by canonical name; ``input_size`` None is the weights' own."""

    model: str
    granularity: Granularity
    weights: str
    num_classes: int
    seed: int
    input_size: int | None = None


def remembered(request: ShardRequest, store: ShardStore) -> Manifest | None:
    """Give the manifest that answered this request before, if all of it is still there.

    A user's model is never remembered: what its function builds may depend on any code.
    """
    if is_user_model(request.model):
        return None
    try:
        manifest_id = _note(request, store).read_text(encoding="ascii").strip()
        manifest = store.manifest(manifest_id)
    except (FileNotFoundError, FormatError, ShardError):
        return None
    return manifest if store.complete(manifest) else None


def remember(request: ShardRequest, store: ShardStore, manifest: Manifest) -> None:
    """Note which manifest answers this request."""
    write_bytes(_note(request, store), manifest.manifest_id.encode())


def _note(request: ShardRequest, store: ShardStore) -> Path:
    """Name the note by all that decides the answer: options, weights file, versions, our own code."""
    parts: list[object] = [request, importlib.metadata.version("torch")]
    parts.append(importlib.metadata.version("torchvision"))
    if is_weights_file(request.weights):
        path = Path(request.weights).expanduser().resolve()
        status = path.stat()  # FileNotFoundError: not remembered, and the maker explains
        parts += [str(path), status.st_size, status.st_mtime_ns]
    for folder in ("models", "shards", "formats"):
        for source in sorted((_PACKAGE / folder).glob("*.py")):
            parts.append(hashlib.sha256(source.read_bytes()).hexdigest())
    key = hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:16]
    return store.folder / "requests" / key
