"""Which addresses belong to a private network."""

from __future__ import annotations

import ipaddress

# Not ``is_private``, which also holds for what documentation, benchmarks and protocols keep for themselves.
_PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        (
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
            *("127.0.0.0/8", "::1/128"),  # loopback
            *("169.254.0.0/16", "fe80::/10"),  # link-local
            "fc00::/7",  # RFC 4193
        ),
    )
)


def is_private(address: str) -> bool:
    """Say whether an address is of a private network, of loopback or link-local; a name is not known to be.

    >>> [is_private(one) for one in ("192.168.1.21", "127.0.0.1", "100.64.0.1", "8.8.8.8", "pi1")]
    [True, True, False, False, False]
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in _PRIVATE if network.version == found.version)
