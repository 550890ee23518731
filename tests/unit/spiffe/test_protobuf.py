"""Our protobuf reader and writer agree with the protobuf library, and rubbish raises nothing but WireError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spiffe._proto import workload_pb2

from mesh.spiffe import protobuf


@given(st.text(), st.binary(), st.binary(), st.text())
def test_reads_what_the_library_writes(spiffe_id: str, chain: bytes, key: bytes, hint: str) -> None:
    """Every non-default field arrives in order."""
    message = workload_pb2.X509SVID(spiffe_id=spiffe_id, x509_svid=chain, x509_svid_key=key, hint=hint)
    expected = [(1, spiffe_id.encode()), (2, chain), (3, key), (5, hint.encode())]
    assert list(protobuf.fields(message.SerializeToString())) == [item for item in expected if item[1]]


@given(st.text(), st.binary())
def test_the_library_reads_what_we_write(spiffe_id: str, bundle: bytes) -> None:
    """Two fields written by us parse to the same values."""
    data = protobuf.bytes_field(1, spiffe_id.encode()) + protobuf.bytes_field(4, bundle)
    message = workload_pb2.X509SVID.FromString(data)
    assert (message.spiffe_id, message.bundle) == (spiffe_id, bundle)


@given(st.integers(0, 2**64 - 1))
def test_numbers_round_trip(value: int) -> None:
    """Varints of every size."""
    assert list(protobuf.fields(protobuf.varint_field(3, value))) == [(3, value)]


@given(st.binary())
def test_rubbish_raises_wire_error_only(data: bytes) -> None:
    """Any bytes give fields or a WireError."""
    try:
        list(protobuf.fields(data))
    except protobuf.WireError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x00\x01",
        b"\x0b",
        b"\x08" + b"\xff" * 10,
        b"\x08" + b"\xff" * 9 + b"\x02",
        b"\x0d123",
    ],
    ids=["no length", "cut", "field 0", "group", "endless", "65 bits", "short fixed32"],
)
def test_malformed_is_refused(data: bytes) -> None:
    """Each malformed shape is named as such."""
    with pytest.raises(protobuf.WireError):
        list(protobuf.fields(data))


@pytest.mark.parametrize("value", [-1, 2**64])
def test_numbers_out_of_range_are_not_written(value: int) -> None:
    """What would not come back is refused."""
    with pytest.raises(protobuf.WireError):
        protobuf.varint(value)
