from __future__ import annotations

import pytest

from stage_runtime.addresses import is_private


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.1.21"),
        *("127.0.0.1", "127.9.9.9", "::1", "169.254.7.7", "fe80::1", "fd00::1"),
    ],
)
def test_private(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "172.15.0.1", "172.32.0.1", "192.169.0.1", "11.0.0.1", "2001:db8::1"),
        *("100.64.0.1", "198.18.0.1", "0.0.0.0", "255.255.255.255"),  # noqa: S104 - kept by somebody, but not private
        *("", "pi1", "10.0.0", "10.0.0.1/8", "::ffff:8.8.8.8"),
    ],
)
def test_not_private(address: str) -> None:
    assert not is_private(address)
