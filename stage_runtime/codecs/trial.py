"""Which codec is the quickest for an activation and a link: each is tried on the activation itself.

The next stage's reading is timed here too, on this device: where that one is slower, a codec costs more than thought.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from stage_runtime.codecs.base import Codec
from stage_runtime.codecs.choice import NAMES, can_write, make_codec
from stage_runtime.inputs.pictures import Ladder
from stage_runtime.tensors import describe

_log = logging.getLogger(__name__)

# The first time a codec runs, its memory is new and its code not in the caches.
_TIMES = 2


class Trial(NamedTuple):
    """What a codec took for one activation; a codec that writes nothing anew takes no time."""

    codec: Codec
    encode_s: float
    decode_s: float
    payload_bytes: int


class LinkTrial:
    """Finds the codec for a link of ``link_mbit`` (None: unknown), for a cell with so many batches in flight.

    ``computing_s`` tells how long this stage computed the activation, whose values lie on the ``ladder`` if one is
    given.
    """

    def __init__(
        self,
        link_mbit: float | None,
        window: int,
        computing_s: Callable[[], float],
        ladder: Ladder | None = None,
    ) -> None:
        self._ladder = ladder
        self._link_mbit = link_mbit
        self._window = window
        self._computing_s = computing_s

    def choose(self, activation: torch.Tensor) -> Codec:
        """Try the codecs and give the quickest."""
        trials = try_codecs(activation, self._ladder)
        found = quickest(trials, self._link_mbit, self._window, self._computing_s())
        tried = "; ".join(
            f"{each.codec.name} {each.encode_s * 1e3:.2f} ms + {each.decode_s * 1e3:.2f} ms, {each.payload_bytes} bytes"
            for each in trials
        )
        _log.info("codec %s for a link of %s Mbit/s; tried: %s", found.codec.name, self._link_mbit, tried)
        return found.codec


def try_codecs(activation: torch.Tensor, ladder: Ladder | None = None) -> list[Trial]:
    """Write and read an activation by each codec that can, ``none`` first."""
    plain = describe(activation)
    target = torch.empty_like(activation)
    return [_try(make_codec(name, plain, ladder), activation, target) for name in NAMES if can_write(name, plain)]


def quickest(trials: Sequence[Trial], link_mbit: float | None, window: int, computing_s: float) -> Trial:
    """Choose among trials; over a link of unknown rate ``none``, which is the first of them.

    With one batch in flight it takes its time to be written, carried and read.  With several these overlap, and the
    slowest counts: computing and writing, which share this device, the link, or reading; where that is alike,
    the time of one batch.
    """
    if link_mbit is None:
        return trials[0]

    def cost(trial: Trial) -> tuple[float, float]:
        carry_s = trial.payload_bytes * 8 / (link_mbit * 1e6)
        alone_s = trial.encode_s + carry_s + trial.decode_s
        slowest_s = max(computing_s + trial.encode_s, carry_s, trial.decode_s)
        return (alone_s, 0.0) if window == 1 else (slowest_s, alone_s)

    return min(trials, key=cost)


def _try(codec: Codec, activation: torch.Tensor, target: torch.Tensor) -> Trial:
    encode_s, decode_s, size = [], [], 0
    for _ in range(_TIMES):
        begun = time.perf_counter()
        parts = codec.encode(activation)
        encode_s.append(time.perf_counter() - begun)
        payload = bytearray(b"".join(data for _, data in parts))
        size = len(payload)
        begun = time.perf_counter()
        codec.decode(memoryview(payload), target)
        decode_s.append(time.perf_counter() - begun)
    if codec.name == "none":  # its bytes are sent from the activation's memory and received into the next one's
        return Trial(codec, 0.0, 0.0, size)
    return Trial(codec, min(encode_s), min(decode_s), size)
