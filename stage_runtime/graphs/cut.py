"""Cut a range of blocks out of an exported model, by the names of its borders."""

from __future__ import annotations

import onnx
from onnx import helper

from stage_runtime.errors import ModelError
from stage_runtime.formats.manifest import Manifest
from stage_runtime.graphs.places import BATCH, border, border_spec

_DTYPES = {
    "float64": onnx.TensorProto.DOUBLE,
    "float32": onnx.TensorProto.FLOAT,
    "float16": onnx.TensorProto.FLOAT16,
    "bfloat16": onnx.TensorProto.BFLOAT16,
}


def cut_range(exported: onnx.ModelProto, manifest: Manifest, first: int, last: int) -> onnx.ModelProto:
    """Give the graph of blocks ``[first, last)``, at least one: from the border before it to the border after it.

    ``exported`` is what :func:`stage_runtime.graphs.export.export_model` gave.  Raises ModelError when a block needs
    more than what crosses the border before the range.
    """
    whole = exported.graph
    nodes = _needed(whole, manifest, first, last)
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        f"blocks_{first}_{last}",
        [_border(manifest, first)],
        [_border(manifest, last)],
        [weight for weight in whole.initializer if weight.name in used],
    )
    model: onnx.ModelProto = helper.make_model(
        graph,
        ir_version=exported.ir_version,
        opset_imports=exported.opset_import,
        functions=exported.functions,
        producer_name="splitbed",
    )
    return model


def _needed(whole: onnx.GraphProto, manifest: Manifest, first: int, last: int) -> list[onnx.NodeProto]:
    """Walk back from the last border to the first; give the nodes on the way in the order of the whole graph."""
    position = {output: index for index, node in enumerate(whole.node) for output in node.output}
    weights = {weight.name for weight in whole.initializer}
    begin, images = border(first), border(0)
    found: dict[int, onnx.NodeProto] = {}
    wanted = [border(last)]
    while wanted:
        name = wanted.pop()
        if not name or name == begin or name in weights:
            continue
        if name == images or name not in position:
            raise ModelError(
                f"{manifest.model}: blocks [{first}, {last}) need {name}, which does not cross point {first}; "
                "take engine eager or channels_last"
            )
        index = position[name]
        if index in found:
            continue
        node = onnx.NodeProto()
        node.CopyFrom(whole.node[index])
        if _is_batch_size(node, images):
            node.input[0] = begin  # whose first dimension is the batch as well
        found[index] = node
        wanted.extend(node.input)
    return [found[index] for index in sorted(found)]


def _is_batch_size(node: onnx.NodeProto, images: str) -> bool:
    """Say whether a node asks how many images there are."""
    asked = {attribute.name: attribute.i for attribute in node.attribute}
    return node.op_type == "Shape" and node.input[0] == images and asked == {"start": 0, "end": 1}


def _border(manifest: Manifest, point: int) -> onnx.ValueInfoProto:
    spec = border_spec(manifest, point)
    if spec.dtype not in _DTYPES:
        raise ModelError(
            f"{manifest.model}: {spec.dtype} crosses point {point}, a graph has {', '.join(_DTYPES)}; "
            "take engine eager or channels_last"
        )
    return helper.make_tensor_value_info(border(point), _DTYPES[spec.dtype], (BATCH, *spec.shape))
