"""What a stage process is told when it starts; the ``stage_service`` role writes it."""

from __future__ import annotations

import msgspec


class StageConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One resident stage process.

    ``shards_dir`` holds ``<manifest_id>/manifest.json`` and ``blocks/<sha256>.safetensors``;
    ``inputs_dir`` holds ``<inputs_id>.safetensors``.  The process ends ``lifetime_s`` after it
    started, or when nobody has spoken to it for ``idle_s``.  ``lease_file`` is touched while the
    stage is alive, which keeps the link's shaping in force (see ``links.lease``).  ``threads`` 0
    means as many as the CPU quota and affinity allow.  ``accelerator`` is ``auto``, ``cpu`` or
    ``cuda:<n>``.
    """

    device: str
    data_address: str
    port: int
    control_socket: str
    shards_dir: str
    inputs_dir: str
    secret_file: str
    log_file: str
    lease_file: str
    lifetime_s: float = 86400.0
    idle_s: float = 120.0
    threads: int = 0
    accelerator: str = "auto"
    oversubscribed: bool = False
