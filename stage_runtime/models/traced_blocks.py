"""Cut any traceable model at every place that a single tensor crosses.

The model is traced with torch.fx.  A place between two operations is a split point when exactly
one value that is still needed was computed before it, and that value is a tensor whose first
dimension is the batch.  Parameters, and what is computed from parameters alone, do not cross:
each block that needs them holds them.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import fx, nn

from stage_runtime.errors import ModelError
from stage_runtime.models.paper_blocks import Block

_CALLS = frozenset({"call_function", "call_method", "call_module"})
_BATCHES = (2, 3)  # what grows with these is the batch dimension


def traced_blocks(name: str, model: nn.Module, sample_shape: Sequence[int]) -> list[Block]:
    """Cut the model into as many blocks as it has such places, plus one.

    ``sample_shape`` is that of one input without the batch dimension; the model is run on batches
    of 2 and 3 zeros to see the shapes (free of cost where it is on ``meta``).  Blocks are named
    after the operation in the trace that they end with.  Raises ModelError when the model cannot
    be traced or does not map one tensor to one tensor.
    """
    traced = _trace(name, model)
    result = _result(name, traced)
    shapes = [_shapes(name, traced, batch, sample_shape) for batch in _BATCHES]

    def leads_with_batch(node: fx.Node) -> bool:
        return all(_leads_with(seen.get(node), batch) for seen, batch in zip(shapes, _BATCHES, strict=True))

    if not leads_with_batch(result):
        raise ModelError(f"{name} does not return a tensor whose first dimension is the batch; it cannot be cut")
    places = {node: place for node, place in _crossings(traced, result).items() if leads_with_batch(node)}
    return _cut(traced, places, result)


def traced_blocks_at(name: str, model: nn.Module, ends: Sequence[str]) -> list[Block]:
    """Cut the model where an earlier :func:`traced_blocks` did, given its blocks' names.

    Raises ModelError when the trace has other operations, as with another version of the code.
    """
    traced = _trace(name, model)
    result = _result(name, traced)
    places = {node.name: (node, place) for node, place in _crossings(traced, result).items()}
    for end in ends[:-1]:
        if end not in places:
            raise ModelError(
                f"{name} has no split point after {end!r} here; the shards were made with another version "
                "of the model's code or of torchvision: install the one that the manifest names"
            )
    return _cut(traced, dict(places[end] for end in ends[:-1]), result)


def _trace(name: str, model: nn.Module) -> fx.GraphModule:
    if len(inspect.signature(model.forward).parameters) != 1:
        model = _OneInput(model)
    try:
        return fx.symbolic_trace(model)
    except Exception as exc:  # tracing runs the model's own code, which may raise anything
        raise ModelError(
            f"{name} cannot be traced by torch.fx ({type(exc).__name__}: {exc}); "
            "only models whose control flow does not depend on their input can be cut"
        ) from exc


class _OneInput(nn.Module):
    """Call a model with its first input only, its other arguments being left at their defaults."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.inner(x))


def _constants(graph: fx.Graph) -> set[fx.Node]:
    """Find what depends on no input: parameters and what is computed from them alone."""
    constants: set[fx.Node] = set()
    for node in graph.nodes:
        fixed_call = node.op in _CALLS and node.all_input_nodes and constants.issuperset(node.all_input_nodes)
        if node.op == "get_attr" or fixed_call:
            constants.add(node)
    return constants


def _operations(graph: fx.Graph) -> list[fx.Node]:
    constants = _constants(graph)
    return [node for node in graph.nodes if node.op in _CALLS and node not in constants]


def _result(name: str, traced: fx.GraphModule) -> fx.Node:
    output = next(node for node in traced.graph.nodes if node.op == "output")
    result = output.args[0]
    if not isinstance(result, fx.Node) or result not in _operations(traced.graph):
        raise ModelError(f"{name} does not return one tensor that it computed, but {result!r}; it cannot be cut")
    return result


def _crossings(traced: fx.GraphModule, result: fx.Node) -> dict[fx.Node, int]:
    """Find the values that once are the only one needed later, in order.

    Each comes with the first place where it is alone: the number of operations before it.
    """
    operations = _operations(traced.graph)
    position = {node: index for index, node in enumerate(operations)}
    last_use = {
        node: max((position.get(user, len(operations)) for user in node.users), default=-1)
        for node in traced.graph.nodes
    }
    alive = [node for node in traced.graph.nodes if node.op == "placeholder"]
    crossings: dict[fx.Node, int] = {}
    for index, node in enumerate(operations):
        alive = [value for value in (*alive, node) if last_use[value] > index]
        if len(alive) == 1 and alive[0].op != "placeholder" and alive[0] is not result:
            crossings.setdefault(alive[0], index + 1)
    return crossings


def _cut(traced: fx.GraphModule, places: dict[fx.Node, int], result: fx.Node) -> list[Block]:
    operations = _operations(traced.graph)
    source = next(node for node in traced.graph.nodes if node.op == "placeholder")
    blocks: list[Block] = []
    start = 0
    for end, place in (*places.items(), (result, len(operations))):
        blocks.append(Block(end.name, _block_module(traced, operations[start:place], source, end)))
        source, start = end, place
    return blocks


def _block_module(
    traced: fx.GraphModule, operations: list[fx.Node], source: fx.Node, result: fx.Node
) -> fx.GraphModule:
    graph = fx.Graph()
    copies = {source: graph.placeholder("x")}

    def copied(node: fx.Node) -> fx.Node:
        if node not in copies:  # a constant: every block that uses it computes it
            copies[node] = graph.node_copy(node, copied)
        return copies[node]

    for node in operations:
        copied(node)
    graph.output(copied(result))
    return fx.GraphModule(traced, graph, "Block").eval()


class _ShapeRecorder(fx.Interpreter):
    """Run a traced model and note the shape of every tensor."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.shapes: dict[fx.Node, torch.Size] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.shapes[n] = value.shape
        return value


def _shapes(name: str, traced: fx.GraphModule, batch: int, sample_shape: Sequence[int]) -> dict[fx.Node, torch.Size]:
    weight = next(traced.parameters(), torch.empty(0))
    images = torch.zeros((batch, *sample_shape), dtype=weight.dtype, device=weight.device)
    recorder = _ShapeRecorder(traced)
    try:
        with torch.inference_mode():
            recorder.run(images)
    except (RuntimeError, AssertionError, ValueError, TypeError) as exc:
        raise ModelError(f"{name} does not run on an input of shape {tuple(images.shape)}: {exc}") from exc
    return recorder.shapes


def _leads_with(shape: torch.Size | None, batch: int) -> bool:
    return shape is not None and len(shape) > 0 and shape[0] == batch
