"""One end of a measurement, on its device: ``python -m bench.payloads.end serve|drive CONFIG``.

``CONFIG`` is an EndConfig as JSON.  The driving end prints its rounds as JSON in its last line.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from pathlib import Path

import msgspec

from bench.payloads.driving import Driver
from bench.payloads.frames import finish
from bench.payloads.plan import EndConfig
from bench.payloads.serving import Server
from bench.testbed import BenchError
from stage_runtime.errors import SplitbedError, TransportError
from stage_runtime.formats.cell import TransportName
from stage_runtime.formats.stage_config import WorldConfig, WorldMember
from stage_runtime.private_files import read_secret
from stage_runtime.stage.world import World
from stage_runtime.transports.base import Listener, Transport
from stage_runtime.transports.tcp import TcpTransport
from stage_runtime.wire.channel import Channel
from stage_runtime.wire.handshake import greet_caller, greet_listener

_START_S = 60.0
_TRY_AGAIN_S = 0.2


def serve(config: EndConfig) -> None:
    """Serve one channel of each transport, until each has finished."""
    bare = socket.create_server((config.called, config.port + 1))
    server = Server(bare, (config.called, config.port + 2))
    listeners: list[Listener] = [TcpTransport(config.called).listen(config.called, config.port)]
    if "rpc" in config.transports:
        listeners.append(_join(config, "called")[1])
    threads = [threading.Thread(target=_serve_one, args=(config, listener, server)) for listener in listeners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.close()


def _serve_one(config: EndConfig, listener: Listener, server: Server) -> None:
    stream = listener.accept(_START_S)
    if stream is None:
        raise BenchError(f"nobody connected to {config.called}:{config.port} in {_START_S:g} s")
    greet_caller(stream, _secret(config), _place(config), _START_S)
    channel = Channel(stream)
    channel.make_room(config.link_mbit, config.link_rtt_ms)
    server.serve(channel)
    channel.close()
    listener.close()


def _secret(config: EndConfig) -> bytes:
    return read_secret(Path(config.secret_file))


def _place(config: EndConfig) -> str:
    return f"{config.called}:{config.port}"


def drive(config: EndConfig) -> bytes:
    """Measure all rounds and give them as JSON."""
    ways: dict[TransportName, Transport] = {"tcp": TcpTransport(config.caller)}
    if "rpc" in config.transports:
        ways["rpc"] = _join(config, "caller")[0]
    channels = {name: _open(config, way) for name, way in ways.items()}
    driver = Driver(config, {name: channels[name] for name in config.transports})
    rounds = [driver.round(number) for number in range(config.rounds)]
    for channel in channels.values():
        finish(channel)
    driver.close()
    return msgspec.json.encode(rounds)


def _open(config: EndConfig, way: Transport) -> Channel:
    """Connect to the other end, which may still be starting."""
    for left in range(int(_START_S / _TRY_AGAIN_S), -1, -1):
        try:
            stream = way.connect(config.called, config.port, _START_S)
        except TransportError:
            if not left:
                raise
            threading.Event().wait(_TRY_AGAIN_S)
        else:
            break
    greet_listener(stream, _secret(config), _place(config), _START_S)
    channel = Channel(stream)
    channel.make_room(config.link_mbit, config.link_rtt_ms)
    return channel


def _join(config: EndConfig, me: str) -> tuple[Transport, Listener]:
    members = tuple(
        WorldMember(device=name, address=address, port=config.port)
        for name, address in (("caller", config.caller), ("called", config.called))
    )
    world = World(WorldConfig(id=config.world, members=members, store_port=config.world_port), me)
    listener = world.join()
    if listener is None:
        raise BenchError(f"RPC did not come up on {me}: {world.status()['reason']}")
    return world.transport(), listener


def main() -> int:
    """Run one end."""
    logging.basicConfig(level=logging.WARNING)
    try:
        role, told = sys.argv[1:]
        config = msgspec.json.decode(told, type=EndConfig)
        said = {"serve": serve, "drive": drive}[role](config)
    except SplitbedError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    if said:
        sys.stdout.write(said.decode() + "\n")
    sys.stdout.flush()
    os._exit(0)  # RPC's threads do not end by themselves


if __name__ == "__main__":
    sys.exit(main())
