"""Make a model's shards: one safetensors file per block, and the manifest.

Needs torch and torchvision.  :mod:`stage_runtime.shards.requests` remembers what was made, so that
asking again does not come here.
"""

from __future__ import annotations

import hashlib

import msgspec
import torch
from safetensors.torch import save_file

from stage_runtime.errors import ModelError
from stage_runtime.files import sha256_of, temporary_in, write_bytes
from stage_runtime.formats.manifest import MANIFEST_SCHEMA, BlockEntry, Manifest, TensorSpec
from stage_runtime.models import zoo
from stage_runtime.models.block_tensors import block_tensors
from stage_runtime.models.paper_blocks import Block
from stage_runtime.models.splitting import boundary_specs, split_at, split_into_blocks, tensor_spec
from stage_runtime.models.weights import apply_weights, find_weights
from stage_runtime.shards.requests import ShardRequest
from stage_runtime.shards.store import ShardStore


def make_shards(request: ShardRequest, store: ShardStore) -> tuple[Manifest, bool]:
    """Build, cut and write the model that is asked for.

    Returns the manifest, and whether any file was new.  Raises ModelError when the model cannot be
    built or cut, or the weights do not fit.
    """
    weights = find_weights(request.model, request.weights, request.seed, request.num_classes)
    size = request.input_size or weights.input_size
    options = {
        "num_classes": request.num_classes,
        "image_size": size,
        "transform_input": weights.record.kind == "torchvision",
    }
    bare = zoo.build_on_meta(request.model, **options)
    image = torch.empty((1, 3, size, size), device="meta")
    plan = split_into_blocks(request.model, bare, request.granularity, image.shape[1:])
    outputs = boundary_specs(request.model, plan, image)

    model = zoo.build_seeded(request.model, request.seed, **options)
    apply_weights(request.model, model, weights, request.num_classes)
    blocks = split_at(request.model, model, request.granularity, [block.name for block in plan])
    entries: list[BlockEntry] = []
    changed = False
    for index, (block, output) in enumerate(zip(blocks, outputs, strict=True)):
        entry, new = _write_block(store, index, block, output)
        entries.append(entry)
        changed |= new
    manifest = _identified(
        Manifest(
            schema=MANIFEST_SCHEMA,
            manifest_id="",
            model=request.model,
            granularity=request.granularity,
            num_classes=request.num_classes,
            weights=weights.record,
            input=tensor_spec(image),
            blocks=tuple(entries),
            split_points=tuple(range(1, len(entries))),
            torch=str(torch.__version__),
            torchvision=str(zoo.import_torchvision().__version__),
        )
    )
    return manifest, _write_manifest(store, manifest) or changed


def _identified(manifest: Manifest) -> Manifest:
    content = msgspec.json.encode(manifest, order="deterministic")
    return msgspec.structs.replace(manifest, manifest_id=hashlib.sha256(content).hexdigest()[:16])


def _write_manifest(store: ShardStore, manifest: Manifest) -> bool:
    path = store.manifest_path(manifest.manifest_id)
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    if path.exists() and path.read_bytes() == content:
        return False
    write_bytes(path, content)
    return True


def _write_block(store: ShardStore, index: int, block: Block, output: TensorSpec) -> tuple[BlockEntry, bool]:
    tensors = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)  # tied ones are written twice
        for name, tensor in block_tensors(block.module).items()
    }
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"block {index} ({block.name}): {name} holds values that are not finite; "
                "the weights are damaged, give others"
            )
    with temporary_in(store.block_path("").parent) as temporary:
        save_file(tensors, temporary)
        entry = BlockEntry(
            index=index,
            name=block.name,
            sha256=sha256_of(temporary),
            file_bytes=temporary.stat().st_size,
            parameter_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()),
            output=output,
        )
        if not store.faults((entry,)):
            return entry, False
        temporary.chmod(0o644)
        temporary.replace(store.block_path(entry.sha256))
    return entry, True
