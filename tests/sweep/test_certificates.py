"""Certificates of one command: whose they are, where they lie, and that nothing of them stays."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sweep.certificates import new_certificates
from sweep.errors import CampaignError
from sweep.secret import certificates_beside, tls_files
from tests.sweep.support import small_testbed

DEVICES = [small_testbed().devices[name] for name in small_testbed().chains["trio"]]


def test_each_device_has_a_certificate_for_its_data_address(tmp_path: Path) -> None:
    with new_certificates(tmp_path, DEVICES) as place:
        assert place == certificates_beside(tmp_path / ".secret")
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}
        assert len(list(place.iterdir())) == 1 + 2 * len(DEVICES), "the authority's key is not written"
        keys = set()
        for device in DEVICES:
            files = tls_files(place, device.name)
            found = x509.load_pem_x509_certificate(Path(files.certificate).read_bytes())
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == [device.data_address]
            assert found.subject.rfc4514_string() == f"CN={device.name}"
            authority = x509.load_pem_x509_certificate(Path(files.authority).read_bytes())
            found.verify_directly_issued_by(authority)
            key = serialization.load_pem_private_key(Path(files.key).read_bytes(), None)
            public = key.public_key().public_numbers()  # type: ignore[union-attr]  # it is of an elliptic curve
            assert public == found.public_key().public_numbers()
            keys.add(public)
            context = ssl.create_default_context(cafile=files.authority)
            context.load_cert_chain(files.certificate, files.key)
        assert len(keys) == len(DEVICES)
    assert list(tmp_path.iterdir()) == []


def test_they_hold_whatever_a_devices_clock_says(tmp_path: Path) -> None:
    with new_certificates(tmp_path, DEVICES) as place:
        for path in (place / "authority.pem", Path(tls_files(place, DEVICES[0].name).certificate)):
            found = x509.load_pem_x509_certificate(path.read_bytes())
            assert found.not_valid_before_utc.year == 1970
            assert found.not_valid_after_utc.year == 9999


def test_those_of_a_killed_command_are_replaced(tmp_path: Path) -> None:
    with new_certificates(tmp_path, DEVICES) as place:
        before = (place / "authority.pem").read_bytes()
        with new_certificates(tmp_path, DEVICES[:1]) as again:
            assert again == place
            assert (place / "authority.pem").read_bytes() != before
            assert len(list(place.iterdir())) == 3


def test_they_are_gone_whatever_ends_the_command(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_certificates(tmp_path, DEVICES):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="cannot write"), new_certificates(tmp_path / "nowhere", DEVICES):
        pass
