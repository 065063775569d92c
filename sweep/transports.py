"""Which transports a sweep takes that names none.

PyTorch RPC pickles: it runs what it is sent, and asks for no secret.  So it is measured unasked only where the devices
talk over a private network, and never where TLS is asked for, which it cannot do.
"""

from __future__ import annotations

from stage_runtime.addresses import is_private
from stage_runtime.formats.cell import TransportName
from sweep.options import Options
from sweep.testbed import Testbed


def transports_of(options: Options, testbed: Testbed, chain: str) -> tuple[TransportName, ...]:
    """Give the transports to be measured on a chain: those asked for, or ``tcp``, and ``rpc`` where that is safe."""
    if options.transports:
        return options.transports
    return ("tcp",) if options.tls or open_devices(testbed, chain) else ("tcp", "rpc")


def open_devices(testbed: Testbed, chain: str) -> tuple[str, ...]:
    """Give the devices of a chain whose data address is not of a private network."""
    return tuple(name for name in testbed.chains[chain] if not is_private(testbed.devices[name].data_address))


def rpc_left_out(options: Options, testbed: Testbed) -> list[str]:
    """Say of each chain that is measured without RPC why that is; nothing where transports are named, or TLS is."""
    if options.transports or options.tls:
        return []
    found = {chain: open_devices(testbed, chain) for chain in testbed.pick_chains(options.chains)}
    return [
        f"{chain} is measured without rpc: it runs what it is sent, and the data address of {', '.join(devices)} is on "
        "no private network; transports=tcp,rpc takes it all the same"
        for chain, devices in found.items()
        if devices
    ]
