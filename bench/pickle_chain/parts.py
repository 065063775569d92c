"""The two parts: each is one thread that does one thing at a time."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from bench.pickle_chain.framing import receive_tensor, send_end, send_tensor
from bench.pickle_chain.orders import FirstFigures, Order, SecondFigures
from stage_runtime.models.loading import LoadedStage, StageLoader
from stage_runtime.stage.inputs import Inputs, read_inputs
from stage_runtime.tensors import describe, memory_of

Forward = Callable[[torch.Tensor], torch.Tensor]


class Work(NamedTuple):
    """What a part computes: its blocks; and, for the first, the images with the tensor that they are copied into."""

    forward: Forward
    images: Inputs | None = None
    buffer: torch.Tensor | None = None


class Loads:
    """Loads what an order asks for; what the next one also needs stays loaded.

    Raises what :class:`stage_runtime.models.loading.StageLoader` and the reading of inputs raise.
    """

    def __init__(self) -> None:
        self._loaders: dict[str, StageLoader] = {}

    def load(self, order: Order) -> Work:
        """Load a part's blocks, in plain PyTorch."""
        torch.set_num_threads(order.threads)
        loader = self._loaders.setdefault(order.shards_dir, StageLoader(Path(order.shards_dir)))
        if order.part == "first":
            stage = loader.load(order.manifest_id, 0, order.cut)
            return _first_work(stage, order)
        return Work(loader.load(order.manifest_id, order.cut, order.blocks).forward)


def _first_work(stage: LoadedStage, order: Order) -> Work:
    shape, dtype = stage.input_spec(order.batch)
    buffer = torch.empty(shape, dtype=dtype)
    return Work(stage.forward, read_inputs(Path(order.inputs_dir), order.inputs_id, describe(buffer)), buffer)


def run_first(connection: socket.socket, order: Order, work: Work) -> FirstFigures:
    """Compute, pickle and send batches one after the other, and say how long each took.

    Raises OSError where the connection ends or takes longer than the order allows.
    """
    if work.images is None or work.buffer is None:
        raise ValueError("the first part needs images; remedy: load it by an order for the first part")
    memory = memory_of(work.buffer)
    compute: list[float] = []
    pickled: list[float] = []
    sent_ms: list[float] = []
    response: list[float] = []
    size = 0
    began_measuring = time.perf_counter()
    for number in range(order.warmup + order.batches):
        if number == order.warmup:
            began_measuring = time.perf_counter()
        work.images.fill(memory, order.batch, number)
        began = time.perf_counter_ns()
        output = work.forward(work.buffer)
        computed = time.perf_counter_ns()
        sent = send_tensor(connection, output)
        if order.one_in_flight:
            receive_tensor(connection)
            response.append((time.perf_counter_ns() - began) / 1e6)
        compute.append((computed - began) / 1e6)
        pickled.append(sent.pickle_ns / 1e6)
        sent_ms.append(sent.send_ns / 1e6)
        size = sent.size
        if _enough(order, number + 1 - order.warmup, time.perf_counter() - began_measuring):
            break
    send_end(connection)
    kept = slice(order.warmup, None)
    return FirstFigures(
        bytes=size,
        compute_ms=tuple(compute[kept]),
        pickle_ms=tuple(pickled[kept]),
        send_ms=tuple(sent_ms[kept]),
        response_ms=tuple(response[kept]),
    )


def _enough(order: Order, measured: int, elapsed_s: float) -> bool:
    return order.limit_s > 0 and measured >= order.least and elapsed_s >= order.limit_s


def run_second(connection: socket.socket, order: Order, work: Work) -> SecondFigures:
    """Receive, unpickle and compute batches one after the other until the first part is done.

    Raises OSError where the connection ends or takes longer than the order allows.
    """
    computed: list[float] = []
    receive: list[float] = []
    unpickle: list[float] = []
    compute: list[float] = []
    while (received := receive_tensor(connection)).tensor is not None:
        began = time.perf_counter_ns()
        output = work.forward(received.tensor)
        now = time.perf_counter_ns()
        if order.one_in_flight:
            send_tensor(connection, output)
        computed.append(now / 1e6)
        receive.append(received.receive_ns / 1e6)
        unpickle.append(received.unpickle_ns / 1e6)
        compute.append((now - began) / 1e6)
    kept = slice(order.warmup, None)
    measured = computed[kept]
    return SecondFigures(
        computed_ms=tuple(instant - measured[0] for instant in measured),
        receive_ms=tuple(receive[kept]),
        unpickle_ms=tuple(unpickle[kept]),
        compute_ms=tuple(compute[kept]),
    )
