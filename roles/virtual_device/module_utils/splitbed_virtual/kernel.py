"""What the kernel is told to do in a device's own network namespace."""

from __future__ import annotations

from .machine import Run, Step, command
from .network import namespaces
from .spec import Device

# A connection that was idle for longer than its retransmission timeout begins anew with ten packets, which on a
# link of 200 ms costs a batch several round trips; stages are idle between any two batches.
SETTINGS = {"net.ipv4.tcp_slow_start_after_idle": "0"}


def look(device: Device) -> dict[str, str]:
    """Read what is in force in a device's namespace; nothing where there is no such namespace."""
    if device.netns not in namespaces():
        return {}
    return parse(command(("ip", "netns", "exec", device.netns, "sysctl", *SETTINGS)))


def parse(text: str) -> dict[str, str]:
    """Read what ``sysctl`` prints: a line ``name = value`` each."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def plan(device: Device, present: dict[str, str]) -> list[Step]:
    """Plan the settings that are not in force."""
    missing = [f"{name}={value}" for name, value in SETTINGS.items() if present.get(name) != value]
    if not missing:
        return []
    argv = ("ip", "netns", "exec", device.netns, "sysctl", "-q", "-w", *missing)
    return [Run(what=f"tell the kernel of {device.name}: {', '.join(missing)}", argv=argv)]
