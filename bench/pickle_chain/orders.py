"""What the two parts are told, and what they answer: one line of JSON each."""

from __future__ import annotations

from typing import Literal

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of one part.

    The first part computes blocks ``[0, cut)`` of ``blocks``, the second the others; the second listens at ``address``
    on a port that it finds free, which the first is then told.
    ``batches`` batches of ``batch`` images are measured after ``warmup`` that are not, or as many, at least
    ``least``, as fit into ``limit_s`` seconds (0: all).  With ``one_in_flight`` the second part sends each output back
    and the first waits for it; without, batches follow each other and nothing comes back, as published.
    ``timeout_s`` is the longest that a socket is waited for.
    """

    part: Literal["first", "second"]
    shards_dir: str
    inputs_dir: str
    manifest_id: str
    inputs_id: str
    cut: int
    blocks: int
    address: str
    port: int = 0
    threads: int
    batch: int
    batches: int
    least: int
    warmup: int
    limit_s: float
    one_in_flight: bool
    timeout_s: float


class FirstFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the first part measured, batch by batch, warm-up left out; ``response_ms`` is empty where nothing came back.

    ``bytes`` are those of one batch, header and pickle.
    """

    bytes: int
    compute_ms: tuple[float, ...]
    pickle_ms: tuple[float, ...]
    send_ms: tuple[float, ...]
    response_ms: tuple[float, ...] = ()


class SecondFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the second part measured, batch by batch, warm-up left out.

    ``computed_ms`` are the instants at which outputs were there, from the first of them.
    """

    computed_ms: tuple[float, ...]
    receive_ms: tuple[float, ...]
    unpickle_ms: tuple[float, ...]
    compute_ms: tuple[float, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line that a part says: the port that it listens on, what it measured, or why it could not."""

    port: int = 0
    first: FirstFigures | None = None
    second: SecondFigures | None = None
    error: str = ""
