"""Certificates for tests of TLS, as a sweep makes them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from stage_runtime.transports.tls import Tls
from sweep.certificates import new_certificates
from sweep.secret import tls_files
from sweep.testbed import Device


def device(name: str, address: str) -> Device:
    """Make a device of which a certificate tells the name and the address."""
    return Device(name=name, kind="pi", data_address=address, stage_port=0, home="", cpus=None, cores=())


@contextlib.contextmanager
def campaign(folder: Path, devices: Sequence[Device]) -> Iterator[dict[str, Tls]]:
    """Give what each device of a campaign has of it, by the device's name."""
    folder.mkdir(exist_ok=True)
    with new_certificates(folder, devices) as place:
        yield {one.name: Tls(tls_files(place, one.name)) for one in devices}
