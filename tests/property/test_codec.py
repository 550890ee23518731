"""Wire format 1 on random configurations (design 7, contract 4.format)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.api.errors import InvalidInputError
from mesh.model import codec
from mesh.model.codec import Revision
from mesh.model.sidecar_config import SidecarConfig
from tests.property import strategies

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@pytest.mark.spec("4.format")
@given(strategies.sidecar_configs, st.integers(0, 1 << 31), st.integers(0, 1 << 31))
def test_decoding_gives_back_what_was_encoded(config: SidecarConfig, epoch: int, counter: int) -> None:
    """Nothing is lost or changed on the way, and the digest is that of the state."""
    (message,) = codec.encode(config, Revision(epoch, counter))
    state = codec.canonical(config)
    assert codec.decode(message.headers, message.payload) == (config, Revision(epoch, counter), codec.digest(state))


@pytest.mark.spec("4.format")
@given(strategies.sidecar_configs, st.data())
def test_any_document_is_read_or_refused(config: SidecarConfig, data: st.DataObject) -> None:
    """Whatever stands in a document's fields, reading gives a configuration or InvalidInputError, nothing else."""
    document = codec.load_json(codec.canonical(config))
    document[data.draw(st.sampled_from(sorted(document)))] = data.draw(json_values)
    (message,) = codec.encode_state(codec.canonical_json(document), Revision(1, 1))
    try:
        decoded = codec.decode(message.headers, message.payload)
    except InvalidInputError:
        return
    assert isinstance(decoded.config, SidecarConfig)


@given(st.binary(max_size=200), st.sampled_from([{}, {"Mesh-Encoding": "zlib"}]))
def test_random_bytes_are_refused(payload: bytes, encoding: dict[str, str]) -> None:
    """Bytes that are no document are refused, also with a matching digest."""
    headers = {"Mesh-Format": "1", "Mesh-Revision": "1.1", "Mesh-Digest": codec.digest(payload)} | encoding
    with pytest.raises(InvalidInputError):
        codec.decode(headers, payload)
