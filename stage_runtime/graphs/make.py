"""Make the graphs of a model's ranges of blocks in the control node's cache, unless that was done before.

::

    <cache>/shards/<manifest_id>/graphs/<first>-<last>.onnx    what devices get
    <cache>/graphs/<manifest_id>/whole.onnx                    what they are cut from
    <cache>/graphs/<manifest_id>/made_by                       hash of the versions and the code that made both

Torch is imported only where a model must be exported.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec
import onnx

from stage_runtime.errors import ModelError
from stage_runtime.files import write_bytes
from stage_runtime.formats.manifest import Manifest
from stage_runtime.graphs.cut import cut_range
from stage_runtime.graphs.places import graph_path, graphs_folder
from stage_runtime.models.names import is_user_model
from stage_runtime.shards.store import ShardStore

_PACKAGE = Path(__file__).parent.parent
_MAKERS = ("torch", "torchvision", "onnx", "onnxscript")

Range = tuple[int, int]


class GraphMaker:
    """Makes graphs of models whose shards lie in ``cache``."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._store = ShardStore(cache / "shards")

    def make(self, manifest_id: str, ranges: Iterable[Range]) -> tuple[int, bool]:
        """Make the graphs of ranges ``[first, last)``; give their bytes together, and whether any file was new.

        A user's model is exported each time, because what its function builds may depend on any code.
        Raises ModelError for what cannot be exported or is no range, ShardError without the model's shards.
        """
        manifest = self._store.manifest(manifest_id)
        wanted = {
            _checked(manifest, one): graph_path(self._store.folder, manifest_id, *one) for one in sorted(set(ranges))
        }
        fresh = self._forget_others(manifest)
        lacking = [one for one, path in wanted.items() if fresh or not path.exists()]
        changed = False
        if lacking:
            exported = self._exported(manifest)
            for one in lacking:
                content = cut_range(exported, manifest, *one).SerializeToString(deterministic=True)
                if not wanted[one].exists() or wanted[one].read_bytes() != content:
                    write_bytes(wanted[one], content)
                    changed = True
            write_bytes(self._note(manifest_id), _made_by())
        return sum(path.stat().st_size for path in wanted.values()), changed

    def _forget_others(self, manifest: Manifest) -> bool:
        """Remove what another version made; say whether everything is to be made anew."""
        if is_user_model(manifest.model):
            return True
        note = self._note(manifest.manifest_id)
        if note.exists() and note.read_bytes() == _made_by():
            return False
        shutil.rmtree(note.parent, ignore_errors=True)
        shutil.rmtree(graphs_folder(self._store.folder, manifest.manifest_id), ignore_errors=True)
        return True

    def _exported(self, manifest: Manifest) -> onnx.ModelProto:
        path = self._note(manifest.manifest_id).with_name("whole.onnx")
        if path.exists() and not is_user_model(manifest.model):
            known: onnx.ModelProto = onnx.ModelProto.FromString(path.read_bytes())
            return known
        from stage_runtime.graphs.export import export_model  # noqa: PLC0415  (torch takes seconds to import)

        exported = export_model(manifest, self._store)
        write_bytes(path, exported.SerializeToString(deterministic=True))
        return exported

    def _note(self, manifest_id: str) -> Path:
        return self._cache / "graphs" / manifest_id / "made_by"


def _checked(manifest: Manifest, one: Range) -> Range:
    if not 0 <= one[0] < one[1] <= len(manifest.blocks):
        raise ModelError(
            f"{manifest.model} has blocks 0 to {len(manifest.blocks) - 1}; [{one[0]}, {one[1]}) is no range of them"
        )
    return one


def _made_by() -> bytes:
    parts = [importlib.metadata.version(name) for name in _MAKERS]
    for folder in ("graphs", "models"):
        sources = sorted((_PACKAGE / folder).glob("*.py"))
        parts.extend(hashlib.sha256(source.read_bytes()).hexdigest() for source in sources)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest().encode()
