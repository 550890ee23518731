"""Keys and certificates of a cluster (Kubernetes, "PKI certificates and requirements"; RFC 5280 for the extensions).

Two authorities: ``ca`` for everything, ``front-proxy-ca`` for the aggregation layer. Elliptic keys on P-256. What is on
disk is used again for as long as it says what is asked for and does not end soon.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from embedded.cluster import addresses

AUTHORITY_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=60)
BACKDATED = timedelta(minutes=5)  # Clocks of virtual machines jump.
CLUSTER_AUTHORITY = "ca"
FRONT_PROXY_AUTHORITY = "front-proxy-ca"
SERVICE_ACCOUNT_KEY = "service-account"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate to be: ``name`` is its file name, organisations are Kubernetes groups."""

    name: str
    common_name: str
    organisation: str = ""
    authority: str = CLUSTER_AUTHORITY
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[IPv4Address, ...] = field(default=())

    @property
    def is_server(self) -> bool:
        """Whether anybody connects to the holder."""
        return bool(self.dns_names or self.ip_addresses)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def leaves(plan: addresses.Plan) -> tuple[Leaf, ...]:
    """Every certificate of the cluster but those of its authorities."""
    api_names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    api_addresses = (plan.nodes[0].address, plan.slot.api_service_address, IPv4Address("127.0.0.1"))
    control_plane = (
        Leaf("kube-apiserver", "kube-apiserver", dns_names=(*api_names, "localhost"), ip_addresses=api_addresses),
        Leaf("kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Leaf("front-proxy-client", "front-proxy-client", authority=FRONT_PROXY_AUTHORITY),
        Leaf("admin", "kubernetes-admin", "system:masters"),
        Leaf("kube-controller-manager", "system:kube-controller-manager"),
        Leaf("kube-scheduler", "system:kube-scheduler"),
        Leaf("kube-proxy", "system:kube-proxy"),
        Leaf("provisioner", "nginx-mesh-provisioner"),
    )
    kubelets = (
        Leaf(
            node_certificate(node),
            f"system:node:{node.name}",
            "system:nodes",
            dns_names=(node.name,),
            ip_addresses=(node.address,),
        )
        for node in plan.nodes
    )
    return control_plane + tuple(kubelets)


def node_certificate(node: addresses.Node) -> str:
    """File name of the certificate that the kubelet of *node* serves and connects with."""
    return f"kubelet-{node.number}"


def ensure(directory: Path, wanted: Iterable[Leaf], now: datetime | None = None) -> None:
    """Make sure that *directory* holds the authorities, the service account key and every certificate of *wanted*."""
    now = now or datetime.now(UTC)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    authorities = {
        CLUSTER_AUTHORITY: _ensure_authority(directory, CLUSTER_AUTHORITY, "kubernetes", now),
        FRONT_PROXY_AUTHORITY: _ensure_authority(directory, FRONT_PROXY_AUTHORITY, "front-proxy", now),
    }
    if not (directory / f"{SERVICE_ACCOUNT_KEY}.key").exists():
        _write(directory / f"{SERVICE_ACCOUNT_KEY}.key", _key_pem(ec.generate_private_key(ec.SECP256R1())))
    for leaf in wanted:
        authority = authorities[leaf.authority]
        pair = _load(directory, leaf.name)
        if pair is None or not _still_good(pair.certificate, leaf, authority.certificate, now):
            _store(directory, leaf.name, issue(leaf, authority, now))


def _ensure_authority(directory: Path, name: str, common_name: str, now: datetime) -> KeyPair:
    pair = _load(directory, name)
    if pair is None or pair.certificate.not_valid_after_utc - now < LEAF_LIFE:
        pair = new_authority(common_name, now)
        _store(directory, name, pair)
    return pair


def new_authority(common_name: str, now: datetime) -> KeyPair:
    """Make a self-signed authority that may sign leaves only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    usage = _usage(digital_signature=True, key_cert_sign=True, crl_sign=True)
    subject_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(name, name, key, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(subject_key, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key), critical=False)
    )
    return KeyPair(builder.sign(key, hashes.SHA256()), key)


def issue(leaf: Leaf, authority: KeyPair, now: datetime) -> KeyPair:
    """Make a key and have *authority* sign its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    purposes = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if leaf.is_server else [])
    subject_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer_key = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_subject(leaf), authority.certificate.subject, key, now, LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(subject_key, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), critical=False)
    )
    if leaf.is_server:
        builder = builder.add_extension(_alternative_names(leaf), critical=False)
    return KeyPair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
    )


def _subject(leaf: Leaf) -> x509.Name:
    group = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.organisation)] if leaf.organisation else []
    return x509.Name([*group, x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)])


def _alternative_names(leaf: Leaf) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in leaf.dns_names]
    return x509.SubjectAlternativeName(names + [x509.IPAddress(address) for address in leaf.ip_addresses])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _still_good(certificate: x509.Certificate, leaf: Leaf, authority: x509.Certificate, now: datetime) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = None
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is the answer
        return False
    same_names = names == _alternative_names(leaf) if leaf.is_server else names is None
    lasts = certificate.not_valid_after_utc - now > RENEW_BEFORE
    return same_names and lasts and certificate.subject == _subject(leaf)


def _load(directory: Path, name: str) -> KeyPair | None:
    """Read a pair; None when it is not there, cannot be read, or its halves do not belong together."""
    try:
        certificate = x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())
        key = serialization.load_pem_private_key((directory / f"{name}.key").read_bytes(), None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return KeyPair(certificate, key)


def _store(directory: Path, name: str, pair: KeyPair) -> None:
    _write(directory / f"{name}.key", _key_pem(pair.key))
    _write(directory / f"{name}.crt", pair.certificate.public_bytes(serialization.Encoding.PEM))


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """Write by rename, readable by root alone."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)
