"""What a stage process is told when it starts; the ``stage_service`` role writes it."""

from __future__ import annotations

import msgspec

from stage_runtime.formats.ready import make_ready


class WorldMember(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stage of the RPC world, by its device and by where neighbours connect to it."""

    device: str
    address: str
    port: int


class WorldConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The RPC world that a stage joins when it starts.

    ``id`` is another for every attempt: a process joins one world in its life, and processes of two
    attempts must not meet.  ``members`` are the chain's stages in order; the first one keeps, on
    ``store_port`` of its address, the store at which they meet.  Whoever has not all others
    with it ``timeout_s`` after its start goes without.  Since RPC runs what it is sent, members whose address is not
    of a private network are refused unless ``public`` says that they were asked for.
    """

    id: str
    members: tuple[WorldMember, ...]
    store_port: int
    timeout_s: float = 60.0
    public: bool = False


class TlsFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a stage's certificate, its key (for its owner alone) and the authority of its neighbours' lie (PEM)."""

    authority: str
    certificate: str
    key: str


class StageConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One resident stage process.

    ``shards_dir`` holds ``<manifest_id>/manifest.json`` and ``blocks/<sha256>.safetensors``;
    ``inputs_dir`` holds ``<inputs_id>.safetensors``.  The process ends ``lifetime_s`` after it
    started, or when nobody has spoken to it for ``idle_s``.  ``lease_file`` is touched while the
    stage is alive, which keeps the link's shaping in force (see ``links.lease``).  ``threads`` 0
    means as many as the CPU quota and affinity allow.  ``accelerator`` is ``auto``, ``cpu`` or
    ``cuda:<n>``.  Without a ``world`` the stage speaks TCP alone, with ``tls`` under TLS alone.
    ``own_keys`` says that secret and certificates are this process's alone: it removes them when it ends.
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
    world: WorldConfig | None = None
    tls: TlsFiles | None = None
    own_keys: bool = False


make_ready(StageConfig)
