"""Certificate facts agree with the cryptography library; no bytes crash the reader."""

import datetime as dt
import string

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh.spiffe import certificate, der

KEY = ec.generate_private_key(ec.SECP256R1())
MOMENTS = st.datetimes(dt.datetime(1951, 1, 1), dt.datetime(2999, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=dt.UTC)
)
LABELS = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)
DNS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
URIS = st.lists(LABELS, min_size=1, max_size=4).map(lambda parts: "spiffe://example.org/" + "/".join(parts))


def build(serial: int, begin: dt.datetime, end: dt.datetime, uris: list[str], names: list[str]) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(KEY.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    alternatives += [x509.DNSName(name) for name in names]
    alternatives.append(x509.RFC822Name("someone@example.org"))
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


SAMPLE = build(77, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC), ["spiffe://a/b"], [])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2**159 - 1),
    st.tuples(MOMENTS, MOMENTS).map(sorted),
    st.lists(URIS, max_size=3),
    st.lists(DNS, max_size=3),
)
def test_agrees_with_the_library(serial: int, span: list[dt.datetime], uris: list[str], names: list[str]) -> None:
    """Serial, validity (UTCTime before 2050, GeneralizedTime after) and names of random certificates."""
    read = certificate.parse(build(serial, span[0], span[1], uris, names))
    assert read == certificate.Certificate(f"{serial:x}", span[0], span[1], tuple(uris), tuple(names))


@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))
def test_one_changed_byte_raises_der_error_only(position: int, byte: int) -> None:
    """A damaged certificate gives facts or a DerError, never another exception, never an endless loop."""
    damaged = SAMPLE[:position] + bytes([byte]) + SAMPLE[position + 1 :]
    try:
        certificate.parse(damaged)
    except der.DerError:
        pass


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x30\x80\x00\x00")
def test_any_bytes_raise_der_error(data: bytes) -> None:
    """Random bytes are no certificate."""
    with pytest.raises(der.DerError):
        certificate.parse(data)


@pytest.mark.parametrize("cut", range(0, len(SAMPLE), 7))
def test_a_cut_certificate_is_refused(cut: int) -> None:
    """Every proper prefix is refused."""
    with pytest.raises(der.DerError):
        certificate.parse(SAMPLE[:cut])


def test_trailing_bytes_are_refused() -> None:
    """One certificate means one."""
    with pytest.raises(der.DerError, match="after the end"):
        certificate.parse(SAMPLE + b"\x00")


@pytest.mark.parametrize("data", [b"\x04\x81\x05hello", b"\x04\x82\x00\x85" + b"x" * 0x85, b"\x1f\x01\x00"])
def test_only_der_is_taken(data: bytes) -> None:
    """Lengths that are not minimal (BER) and tags above 30 are refused, as DER demands."""
    with pytest.raises(der.DerError):
        der.Reader(data).read_any()


def test_a_chain_is_split() -> None:
    """Concatenated certificates come apart as they were."""
    assert der.split(SAMPLE + SAMPLE) == [SAMPLE, SAMPLE]
    with pytest.raises(der.DerError):
        der.split(SAMPLE + SAMPLE[:9])


@given(st.binary(max_size=300))
def test_pem_is_read_back(data: bytes) -> None:
    """Lines of 64 characters that another reader accepts."""
    text = certificate.pem("CERTIFICATE", data).decode()
    assert max(len(line) for line in text.splitlines()) <= 64
    if data:
        import ssl

        assert ssl.PEM_cert_to_DER_cert(text) == data
