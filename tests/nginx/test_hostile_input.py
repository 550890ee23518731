"""Random damage to what NGINX reads: it refuses or takes it, and lives on (contract 6.state)."""

import random
import ssl

import pytest

from tests.nginx.conftest import APPLICATION_PORT, CLIENT, Pair
from tests.nginx.network import Pod

EXAMPLES = 400
FRAGMENTS = (
    b"\t",
    b"\n",
    b"0",
    b"-1",
    b"65536",
    b"end\t1\n",
    b"identity\t0\t",
    b"::",
    b"4294967296",
    b"spiffe://",
    b"\xff",
    b"",
)


def damaged(content: bytes, source: random.Random) -> bytes:
    """One to three changes: a piece cut out, doubled, overwritten, or put in."""
    data = bytearray(content)
    for _ in range(source.randint(1, 3)):
        start = source.randrange(len(data) + 1)
        end = min(len(data), start + source.choice((0, 1, 1, 3, 20)))
        match source.randrange(3):
            case 0:
                data[start:end] = source.choice(FRAGMENTS)
            case 1:
                data[start:start] = data[start:end]
            case _:
                data[start:end] = source.randbytes(end - start)
    return bytes(data)


@pytest.mark.spec("6.state")
def test_damaged_documents(pair: Pair) -> None:
    """Every answer is 200 or 422; the worker stays the same, and the right document still works."""
    source = random.Random(20261121)
    document = pair.client_document(endpoints=pair.endpoints(3)).pod(pair.endpoints()[0]).render().encode()
    seen = set()
    for _ in range(EXAMPLES):
        content = damaged(document, source)
        pair.client.write("state", content)
        status, text = pair.client.request("POST", "/apply")
        assert status in {200, 422}, (content, text)
        seen.add(status)
    assert seen == {200, 422}
    pair.client.apply(pair.client_document())
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200


@pytest.mark.spec("6.state")
@pytest.mark.parametrize("name", ["svid.pem", "bundle.pem"])
def test_damaged_certificates(pair: Pair, name: str) -> None:
    """The same for PEM; what was applied before stays."""
    source = random.Random(20261122)
    issued = pair.issue(CLIENT)
    context = issued.context()
    content = context.svid.chain_pem + context.svid.key_pem if name == "svid.pem" else context.bundle_pem
    for _ in range(EXAMPLES // 4):
        pair.client.write(name, damaged(content, source))
        status, text = pair.client.request("POST", "/apply")
        assert status in {200, 422}, text
    pair.client.apply(None, issued)
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200


@pytest.mark.spec("3.modes")
def test_damaged_client_hellos(pair: Pair, plain_pod: Pod) -> None:
    """In off the sidecar looks into a ClientHello for the mesh's marker: any bytes may come there."""
    pair.server.apply(pair.server_document("off"))
    source = random.Random(20261123)
    hello = client_hello()
    for number in range(EXAMPLES // 4):
        content = hello if number == 0 else damaged(hello, source)
        with plain_pod.connect(pair.server.pod.address, APPLICATION_PORT) as connection:
            connection.sendall(content)
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200


def client_hello() -> bytes:
    """The first bytes of a TLS client that names the mesh's protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["nsm/1", "http/1.1"])
    sent = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), sent)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return sent.read()
