"""A private certificate authority for the NATS servers, and a certificate for each.

For deployments without an authority; one that exists can be used instead with the same file names. Clients
check servers against `ca.pem` (`TOWPATH_NATS_CA`); the servers check each other against it as well.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
SERVER_DAYS = 825
_EARLIER = timedelta(minutes=5)


def make_certificates(directory: Path, nodes: Sequence[str], also: Sequence[str] = ()) -> None:
    """Write `<node>.pem` and `<node>-key.pem` for each node, signed by the authority in `directory`.

    A node's certificate is valid for its name, for localhost, and for the names and addresses in `also`. The
    authority (`ca.pem`, `ca-key.pem`) is made if missing; certificates are always made again.
    """
    directory.mkdir(parents=True, exist_ok=True)
    authority, authority_key = _authority(directory)
    for node in nodes:
        key = ec.generate_private_key(ec.SECP256R1())
        names = dict.fromkeys([node, "localhost", "127.0.0.1", *also])
        certificate = (
            _builder(node, authority.subject, key, SERVER_DAYS)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False
            )
            .sign(authority_key, SHA256())
        )
        _write_key(directory / f"{node}-key.pem", key)
        (directory / f"{node}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))


def _authority(directory: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path, key_path = directory / "ca.pem", directory / "ca-key.pem"
    if path.exists():
        found = load_pem_private_key(key_path.read_bytes(), None)
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_path} holds no key of this program's: move ca.pem and it away")
        return x509.load_pem_x509_certificate(path.read_bytes()), found
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Towpath NATS")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder("Towpath NATS", name, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, SHA256())
    )
    _write_key(key_path, key)
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return certificate, key


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write the key; others can never read it."""
    path.unlink(missing_ok=True)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
