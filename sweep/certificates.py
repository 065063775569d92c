"""The certificates that the stages of one command know each other by under TLS.

An authority that lives in this process's memory signs one certificate for each device, for its data address, and is
forgotten.  They hold for ever by the clock, because a device may not have set its own; what ends them is that the
next command makes others.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sweep.errors import CampaignError
from sweep.secret import AUTHORITY, TLS_FOLDER, tls_files, write_private
from sweep.testbed import Device

_ALWAYS = (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC))
_LONGEST_NAME = 64


@contextmanager
def new_certificates(folder: Path, devices: Iterable[Device]) -> Iterator[Path]:
    """Write new certificates and keys into a folder in `folder` that only its owner may enter; remove it in the end.

    Raises CampaignError where the disk refuses.
    """
    place = folder / TLS_FOLDER
    shutil.rmtree(place, ignore_errors=True)  # of a killed command
    try:
        try:
            place.mkdir(mode=0o700)
            _write_all(place, devices)
        except OSError as exc:
            raise CampaignError(f"{place}: cannot write ({exc}); free some space and run again") from exc
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write_all(place: Path, devices: Iterable[Device]) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key)
    write_private(place / AUTHORITY, authority.public_bytes(serialization.Encoding.PEM))
    for device in devices:
        files = tls_files(place, device.name)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(device, key.public_key(), authority, authority_key)
        write_private(Path(files.certificate), certificate.public_bytes(serialization.Encoding.PEM))
        pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        write_private(Path(files.key), key.private_bytes(*pem))


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("Splitbed campaign")
    public = key.public_key()
    unsigned = (
        _begin(name, name, public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )
    return unsigned.sign(key, hashes.SHA256())


def _certificate(
    device: Device,
    public: ec.EllipticCurvePublicKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    both_ends = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    unsigned = (
        _begin(_name(device.name), authority.subject, public)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both_ends), critical=False)
        .add_extension(x509.SubjectAlternativeName([_place(device.data_address)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    return unsigned.sign(authority_key, hashes.SHA256())


def _begin(subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=_ALWAYS[0],
        not_valid_after=_ALWAYS[1],
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_LONGEST_NAME])])


def _place(address: str) -> x509.GeneralName:
    """Give the name that a caller looks for: the address that it calls."""
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
