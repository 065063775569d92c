"""Export a model to ONNX once, without weights, with the value at every block border named."""

from __future__ import annotations

import warnings
from typing import Any

import onnx
import torch
from onnxscript import ir
from torch import nn

from stage_runtime.errors import ModelError
from stage_runtime.formats.manifest import Manifest
from stage_runtime.graphs.places import BATCH, border
from stage_runtime.graphs.shard_tensors import Placed, placed_tensors
from stage_runtime.graphs.tidy import tidy
from stage_runtime.models import zoo
from stage_runtime.models.skeleton import Skeleton
from stage_runtime.shards.store import ShardStore

# Sizes 0 and 1 would be taken for constants.
_TRACED_BATCH = 2
_DTYPES = {
    "F64": ir.DataType.DOUBLE,
    "F32": ir.DataType.FLOAT,
    "F16": ir.DataType.FLOAT16,
    "BF16": ir.DataType.BFLOAT16,
    "I64": ir.DataType.INT64,
    "I32": ir.DataType.INT32,
    "I16": ir.DataType.INT16,
    "I8": ir.DataType.INT8,
    "U8": ir.DataType.UINT8,
    "BOOL": ir.DataType.BOOL,
}


def export_model(manifest: Manifest, store: ShardStore) -> onnx.ModelProto:
    """Export the manifest's model; its outputs are the borders after each block, its weights name the shards' files.

    The model is traced on ``meta``, so that neither weights nor activations take memory.  Raises ModelError when torch
    cannot export it for any batch size, ShardError when a shard is missing.
    """
    zoo.import_torchvision()
    skeleton = Skeleton(manifest)
    program = _export(manifest, _Borders(skeleton.blocks))
    graph = program.graph
    for name, value in graph.initializers.items():
        value.const_value = _external(manifest, store, name)
    tidy(graph)
    exported: onnx.ModelProto = ir.to_proto(program)
    return exported


class _Borders(nn.Module):
    """Run blocks one after the other and give what crosses after each."""

    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self._count = len(blocks)
        for index, block in enumerate(blocks):
            self.add_module(_block(index), block)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        borders = []
        crossing = images
        for index in range(self._count):
            # a copy, because a block may write to its input, and what crosses must stay what it is
            crossing = self.get_submodule(_block(index))(crossing.clone())
            borders.append(crossing)
        return tuple(borders)


def _block(index: int) -> str:
    return f"block_{index}"


def _export(manifest: Manifest, module: nn.Module) -> ir.Model:
    images = torch.empty(
        (_TRACED_BATCH, *manifest.input.shape), dtype=getattr(torch, manifest.input.dtype), device="meta"
    )
    names = [border(point) for point in range(len(manifest.blocks) + 1)]
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch's exporter warns about parts of itself
            traced = torch.export.export(
                module.eval(), (images,), dynamic_shapes=({0: torch.export.Dim(BATCH)},), strict=False
            )
            program: Any = torch.onnx.export(
                traced,
                (images,),
                dynamo=True,
                optimize=False,  # it would fold weights into others that no shard has
                input_names=names[:1],
                output_names=names[1:],
                verbose=False,
            )
    except Exception as exc:  # the exporter runs the model's own code, and has many errors of its own
        raise ModelError(
            f"{manifest.model} cannot be exported to ONNX for any batch size ({type(exc).__name__}: "
            f"{str(exc).strip().splitlines()[0] if str(exc).strip() else 'no reason given'}); "
            "take engine eager or channels_last"
        ) from exc
    model: ir.Model = program.model
    return model


def _external(manifest: Manifest, store: ShardStore, name: str) -> ir.ExternalTensor:
    """Name a weight (``block_3.conv.weight``) by file, offset and length."""
    block, _, tensor = name.partition(".")
    index = block.removeprefix("block_")
    path = store.block_path(manifest.blocks[int(index)].sha256) if index.isdigit() and tensor else None
    found: Placed | None = placed_tensors(path).get(tensor) if path is not None else None
    if path is None or found is None or found.dtype not in _DTYPES:
        raise ModelError(
            f"{manifest.model}: the exported graph needs a tensor {name!r} that no shard has in a dtype of "
            f"{', '.join(_DTYPES)}; take engine eager or channels_last"
        )
    return ir.ExternalTensor(
        path.name, found.offset, found.length, _DTYPES[found.dtype], shape=ir.Shape(found.shape), name=name
    )
