"""Certificates for the TLS between agents, and from tools to agents: a small authority on files.

ECDSA on P-256 throughout. Subject and authority key identifiers are SHA-256 of the public key. Not
to be mixed up with the mesh's authority, which the servers run.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

ORGANISATION: Final = "Lictor"
SERVER_AUTH: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH: Final = ExtendedKeyUsageOID.CLIENT_AUTH


class CannotIssue(Exception):
    """The authority's files are not what they should be."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Wanted:
    """What a certificate is to say. The first name is its common name too."""

    names: Sequence[str]
    addresses: Sequence[Address]
    usages: Sequence[x509.ObjectIdentifier]


def make_authority(*, days: int, now: datetime, constraints: Sequence[str] = ()) -> Pair:
    """A new authority, valid for ``days``. ``constraints`` are the DNS names it may vouch for."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{ORGANISATION} Agent CA {serial}"),
        ]
    )
    builder = _builder(name, name, key.public_key(), serial, days=days, now=now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = _key_usage(signs_certificates=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(_authority_identifier(key.public_key()), critical=False)
    if constraints:
        permitted = [x509.DNSName(one) for one in constraints]
        limits = x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None)
        builder = builder.add_extension(limits, critical=True)
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue(authority: Pair, wanted: Wanted, *, days: int, now: datetime) -> Pair:
    """A certificate signed by ``authority``, valid for ``days``.

    Raises:
        CannotIssue: the authority cannot be read, does not fit its key, or is none.
    """
    issuer, issuer_key = _read(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted.names[0])])
    serial = x509.random_serial_number()
    builder = _builder(name, issuer.subject, key.public_key(), serial, days=days, now=now)
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    if wanted.usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(wanted.usages), critical=False)
    builder = builder.add_extension(_authority_identifier(issuer_key.public_key()), critical=False)
    alternatives: list[x509.GeneralName] = [x509.DNSName(one) for one in wanted.names]
    alternatives += [x509.IPAddress(one) for one in wanted.addresses]
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return _pair(builder.sign(issuer_key, hashes.SHA256()), key)


def _read(authority: Pair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(authority.certificate)
    except ValueError as error:
        raise CannotIssue(f"Failed to parse the CA's certificate: {error}") from error
    try:
        key = serialization.load_pem_private_key(authority.key, password=None)
    except (ValueError, TypeError) as error:
        raise CannotIssue(f"Failed to parse the CA's key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CannotIssue("The CA's key is not an elliptic curve key")
    if _der(key.public_key()) != certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    ):
        raise CannotIssue("The CA's key does not belong to its certificate")
    try:
        authority_bit = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        raise CannotIssue("The CA's certificate is not one of a CA") from None
    if not authority_bit.value.ca:
        raise CannotIssue("The CA's certificate is not one of a CA")
    return certificate, key


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    serial: int,
    *,
    days: int,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier(_digest(key)), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(key: ec.EllipticCurvePublicKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(_digest(key), None, None)


def _digest(key: ec.EllipticCurvePublicKey) -> bytes:
    return hashlib.sha256(_der(key)).digest()


def _der(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), private)
