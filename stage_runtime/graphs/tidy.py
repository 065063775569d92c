"""Take out of an exported graph what keeps ONNX Runtime from fusing it, and what only takes room."""

from __future__ import annotations

import numpy as np
from onnxscript import ir


def tidy(graph: ir.Graph) -> None:
    """Resolve copies and casts of constants, drop biases of zero, and all that tells where a node came from.

    No weight is touched: every initialiser stays a tensor of a shard.
    """
    borders = {value.name for value in graph.outputs}
    for node in list(graph):
        node.metadata_props.clear()
        node.doc_string = None
        match node.op_type:
            case "Identity" if node.outputs[0].name not in borders:
                _replace(graph, node, node.inputs[0])
            case "CastLike":
                _cast(graph, node)
            case "Conv" if len(node.inputs) > _BIAS and _is_zero(node.inputs[_BIAS]):
                node.resize_inputs(_BIAS)
    for node in reversed(list(graph)):
        if not any(value.uses() or value.name in borders for value in node.outputs):
            graph.remove(node, safe=True)


_BIAS = 2


def _replace(graph: ir.Graph, node: ir.Node, value: ir.Value | None) -> None:
    assert value is not None
    ir.convenience.replace_all_uses_with(node.outputs[0], value)
    graph.remove(node, safe=True)


def _constant(value: ir.Value | None) -> np.ndarray | None:
    """Give what a ``Constant`` node holds."""
    node = value.producer() if value is not None else None
    if node is None or node.op_type != "Constant":
        return None
    (attribute,) = node.attributes.values()
    held = attribute.value
    return held.numpy() if attribute.type is ir.AttributeType.TENSOR else np.asarray(held)


def _cast(graph: ir.Graph, node: ir.Node) -> None:
    """Cast a constant here, where the dtype to cast to is known; ONNX Runtime expands the operation too late."""
    given, like = node.inputs
    held = _constant(given)
    if held is None or like is None or like.dtype is None:
        return
    constant = ir.node("Constant", [], {"value": ir.tensor(held.astype(like.dtype.numpy()))})
    constant.outputs[0].name = f"{node.outputs[0].name}_cast"
    graph.insert_before(node, constant)
    _replace(graph, node, constant.outputs[0])


def _is_zero(bias: ir.Value | None) -> bool:
    """Say whether a bias is the zeros that the exporter writes for none."""
    node = bias.producer() if bias is not None else None
    held = _constant(node.inputs[0]) if node is not None and node.op_type == "Expand" else None
    return held is not None and not held.any()
