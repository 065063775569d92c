"""The two parts over a real socket, and as the processes that a device runs."""

from __future__ import annotations

import io
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import torch

from bench.pickle_chain.__main__ import main
from bench.pickle_chain.orders import Answer, FirstFigures, Order, SecondFigures
from bench.pickle_chain.parts import Loads, Work, run_first, run_second
from stage_runtime.models.loading import StageLoader
from stage_runtime.stage.inputs import Inputs
from stage_runtime.tensors import memory_of

PROJECT = pathlib.Path(__file__).resolve().parents[3]


def order(**changes: Any) -> Order:
    fields: dict[str, Any] = {
        "part": "first",
        "shards_dir": "/nowhere/shards",
        "inputs_dir": "/nowhere/inputs",
        "manifest_id": "m",
        "inputs_id": "i",
        "cut": 1,
        "blocks": 19,
        "address": "127.0.0.1",
        "threads": 1,
        "batch": 2,
        "batches": 5,
        "least": 3,
        "warmup": 2,
        "limit_s": 0.0,
        "one_in_flight": True,
        "timeout_s": 20.0,
    }
    return Order(**(fields | changes))


def run_both(
    asked: Order, first: Callable[[torch.Tensor], torch.Tensor], second: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[FirstFigures, SecondFigures]:
    """Run both parts in threads over a pair of sockets, on images 0, 1, 2 of four values each."""
    near, far = socket.socketpair()
    near.settimeout(20)
    far.settimeout(20)
    images = Inputs(torch.arange(3.0).repeat_interleave(4).reshape(3, 4))
    found: list[SecondFigures] = []
    with near, far:
        other = threading.Thread(target=lambda: found.append(run_second(far, asked, Work(second))))
        other.start()
        mine = run_first(near, asked, Work(first, images, torch.empty(asked.batch, 4)))
        other.join()
    return mine, found[0]


@pytest.mark.parametrize("one_in_flight", [True, False])
def test_every_batch_is_computed_by_both_parts_in_order(one_in_flight: bool) -> None:
    seen: list[torch.Tensor] = []
    asked = order(one_in_flight=one_in_flight)
    mine, other = run_both(asked, lambda batch: batch + 10, lambda batch: (seen.append(batch), batch * 2)[1])
    firsts = [int(batch[0, 0]) for batch in seen]
    assert firsts == [10 + 2 * number % 3 for number in range(7)], "images are taken in turn"
    assert len(mine.compute_ms) == len(mine.pickle_ms) == len(mine.send_ms) == 5, "the warm-up is left out"
    assert len(mine.response_ms) == (5 if one_in_flight else 0)
    assert len(other.computed_ms) == len(other.receive_ms) == len(other.unpickle_ms) == len(other.compute_ms) == 5
    assert other.computed_ms[0] == 0.0
    assert list(other.computed_ms) == sorted(other.computed_ms)


def test_a_response_holds_what_both_parts_do() -> None:
    def slow(batch: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02)
        return batch

    mine, other = run_both(order(), slow, slow)
    for response, near, far in zip(mine.response_ms, mine.compute_ms, other.compute_ms, strict=True):
        assert response >= near + far
        assert min(near, far) >= 20


def test_it_neither_computes_while_it_sends_nor_receives_while_it_computes() -> None:
    """With one batch in flight the other part is idle; without, each part still does one thing at a time."""
    running: set[str] = set()
    met: list[set[str]] = []

    def watch(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def forward(batch: torch.Tensor) -> torch.Tensor:
            running.add(name)
            time.sleep(0.01)
            met.append(set(running))
            running.discard(name)
            return batch

        return forward

    run_both(order(), watch("first"), watch("second"))
    assert all(len(who) == 1 for who in met)
    met.clear()
    run_both(order(one_in_flight=False, batches=10), watch("first"), watch("second"))
    assert {"first", "second"} in met, "in a stream the two parts work side by side"


def test_a_limit_of_seconds_leaves_at_least_so_many_batches() -> None:
    def slow(batch: torch.Tensor) -> torch.Tensor:
        time.sleep(0.01)
        return batch

    mine, other = run_both(order(batches=100, least=3, limit_s=0.001), slow, slow)
    assert len(mine.compute_ms) == len(other.compute_ms) == 3


def test_a_first_part_without_images_is_refused() -> None:
    near, far = socket.socketpair()
    with near, far, pytest.raises(ValueError, match="needs images"):
        run_first(near, order(), Work(lambda batch: batch))


def test_what_goes_wrong_is_an_answer() -> None:
    said = io.StringIO()
    lines = ["{}", msgspec.json.encode(order(part="second")).decode()]
    assert main(io.StringIO("\n".join(lines)), said) == 0
    answers = [msgspec.json.decode(line, type=Answer) for line in said.getvalue().splitlines()]
    assert "missing required field" in answers[0].error
    assert "manifest" in answers[1].error


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, dict[str, str]]:
    """Make MobileNetV2's shards and two images, as the control node does."""
    cache = tmp_path_factory.mktemp("cache")

    def make(module: str, *arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", module, "make", *arguments, "--cache", str(cache)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    made = make("stage_runtime.shards", "--model", "mobilenet_v2")
    inputs = make("stage_runtime.inputs", "--size", "224", "--count", "2")
    return cache, {"manifest_id": made["manifest_id"], "inputs_id": inputs["inputs_id"]}


def _orders(shards: tuple[pathlib.Path, dict[str, str]], **changes: Any) -> tuple[Order, Order]:
    cache, ids = shards
    told = {"shards_dir": str(cache / "shards"), "inputs_dir": str(cache / "inputs"), **ids, "cut": 5}
    first = order(**told, batch=1, batches=3, warmup=1, **changes)
    return first, msgspec.structs.replace(first, part="second")


def test_the_parts_compute_together_what_the_model_does(shards: tuple[pathlib.Path, dict[str, str]]) -> None:
    first, second = _orders(shards)
    cache, ids = shards
    work = Loads().load(first)
    assert work.images is not None
    assert work.buffer is not None
    work.images.fill(memory_of(work.buffer), 1, 0)
    whole = StageLoader(cache / "shards")
    expected = whole.load(ids["manifest_id"], 0, first.blocks).forward(work.buffer)
    assert torch.allclose(Loads().load(second).forward(work.forward(work.buffer)), expected, rtol=1e-5)
    assert expected.std() > 0


def test_two_processes_on_orders(shards: tuple[pathlib.Path, dict[str, str]]) -> None:
    first, second = _orders(shards)
    command = [sys.executable, "-m", "bench.pickle_chain"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": PROJECT}
    with subprocess.Popen(command, **pipes) as near, subprocess.Popen(command, **pipes) as far:
        for one_in_flight in (True, False):
            _tell(far, msgspec.structs.replace(second, one_in_flight=one_in_flight))
            port = _hear(far).port
            assert port > 0
            _tell(near, msgspec.structs.replace(first, one_in_flight=one_in_flight, port=port))
            mine, other = _hear(near), _hear(far)
            assert mine.first is not None
            assert other.second is not None
            assert len(other.second.computed_ms) == 3
            assert len(mine.first.response_ms) == 3 * one_in_flight
            assert 32 * 28 * 28 * 4 < mine.first.bytes < 32 * 28 * 28 * 4 + 2000
        for process in (near, far):
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(30) == 0


def _tell(process: subprocess.Popen[str], asked: Order) -> None:
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(asked).decode() + "\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> Answer:
    assert process.stdout is not None
    return msgspec.json.decode(process.stdout.readline(), type=Answer)
