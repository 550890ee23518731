"""A certificate authority for tests that issues SVIDs as SPIRE 1.13 does (identity-facts: subject, names, key usage)."""

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.spiffe.certificate import pem
from mesh.spiffe.workload_api import Svid, X509Context

BACKDATED = dt.timedelta(seconds=10)


@dataclass(frozen=True)
class Issued:
    """An SVID as the Workload API carries it: DER, the key as PKCS#8."""

    spiffe_id: str
    chain: bytes
    key: bytes
    bundle: bytes
    certificate: x509.Certificate

    def context(self) -> X509Context:
        """The same as our client hands it out, made without our client's parsers."""
        names = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        svid = Svid(
            spiffe_id=self.spiffe_id,
            chain_pem=pem("CERTIFICATE", self.chain),
            key_pem=pem("PRIVATE KEY", self.key),
            not_before=self.certificate.not_valid_before_utc,
            not_after=self.certificate.not_valid_after_utc,
            dns_names=tuple(names.get_values_for_type(x509.DNSName)),
            serial=f"{self.certificate.serial_number:x}",
        )
        return X509Context(svid, pem("CERTIFICATE", self.bundle))


class Authority:
    """A self-signed root of *trust_domain*."""

    def __init__(self, trust_domain: str = "example.org") -> None:
        self.trust_domain = trust_domain
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SPIFFE")])
        now = dt.datetime.now(dt.UTC)
        self.root = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(key_usage(sign_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{trust_domain}")]),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )

    @property
    def bundle(self) -> bytes:
        """The root in DER."""
        return self.root.public_bytes(serialization.Encoding.DER)

    def issue(
        self,
        path: str,
        dns_names: tuple[str, ...] = (),
        lifetime: dt.timedelta = dt.timedelta(hours=1),
        bundle: bytes | None = None,
        uris: tuple[str, ...] | None = None,
    ) -> Issued:
        """An SVID for ``spiffe://<trust domain><path>``; *bundle* and *uris* replace the usual ones, to be wrong."""
        spiffe_id = f"spiffe://{self.trust_domain}{path}"
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(uri) for uri in ((spiffe_id,) if uris is None else uris)
        ]
        names += [x509.DNSName(name) for name in dns_names]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SPIRE")]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + lifetime) - BACKDATED)
            .not_valid_after(now + lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(sign_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Issued(
            spiffe_id=spiffe_id,
            chain=certificate.public_bytes(serialization.Encoding.DER),
            key=key.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            bundle=self.bundle if bundle is None else bundle,
            certificate=certificate,
        )


def key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    """Of an authority, or of an SVID."""
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
