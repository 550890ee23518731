"""Who may connect to a pod's tcp ports: judged after the handshake, before the application is called (contract 7.access)."""

import pytest

from tests.fuzz.seeds import hello
from tests.nginx.conftest import CLIENT, CLIENT_ID, SERVER, Pair
from tests.nginx.documents import Document, Match
from tests.nginx.network import Pod
from tests.nginx.streams import TCP_PORT, Server, call, client_document, exchange, greet, serving, set_up
from tests.nginx.test_modes import read_all

OTHER_ID = "spiffe://example.org/ns/shop/sa/other"


def guarded(mode: str = "strict", *, declared: bool = True) -> Document:
    """A server that lets in what targets allow; none yet."""
    return Document(mode=mode, incoming={TCP_PORT: "tcp"} if declared else {}).enforce_access()


def is_let_in(pair: Pair, server: Server) -> bool:
    """Whether the application hears the caller; one that is refused sees its connection end."""
    before = len(server.accepted)
    try:
        with call(pair) as connection:
            answered = exchange(connection, b"ask") == b"ask"
    except OSError:
        answered = False
    assert (len(server.accepted) > before) == answered
    return answered


@pytest.mark.spec("7.access")
@pytest.mark.parametrize("mode", ["strict", "permissive"])
def test_targets_judge_connections(pair: Pair, mode: str) -> None:
    """Named and without rules, or with a rule of tcp; rules of requests say nothing of connections."""
    set_up(pair, mode)
    cases = [
        (guarded(mode), False, "access_no_target"),
        (guarded(mode).target("shop/other", [OTHER_ID]), False, "access_no_target"),
        (guarded(mode).target("shop/port", [CLIENT_ID], port=TCP_PORT + 1), False, "access_no_target"),
        (guarded(mode).target("shop/http", [CLIENT_ID], rules=[Match()]), False, 'access_no_rule",policy="shop/http'),
        (guarded(mode).target("shop/all", [CLIENT_ID]), True, ""),
        (
            guarded(mode).target("shop/http", [CLIENT_ID], rules=[Match()]).target("shop/tcp", [CLIENT_ID], tcp=True),
            True,
            "",
        ),
        (guarded(mode).target("shop/port", [CLIENT_ID], port=TCP_PORT), True, ""),
    ]
    with serving(pair.server.pod) as server:
        for document, expected, reason in cases:
            pair.server.apply(document)
            before = pair.server.refusals("incoming", reason)
            assert is_let_in(pair, server) == expected, document.render()
            assert pair.server.refusals("incoming", reason) - before == (not expected)


@pytest.mark.spec("7.access")
@pytest.mark.parametrize("mode", ["permissive", "off"])
@pytest.mark.parametrize("declared", [True, False])
def test_plaintext_and_foreign_tls_are_refused(pair: Pair, plain_pod: Pod, mode: str, declared: bool) -> None:
    """Nobody proved who they are, on ports that are declared or not, whatever they say first."""
    pair.server.apply(guarded(mode, declared=declared).target("shop/all", [CLIENT_ID]), pair.issue(SERVER))
    with serving(pair.server.pod, greet) as server:
        for first in (b"plain", hello(b"h2")):
            with plain_pod.connect(pair.server.pod.address, TCP_PORT) as connection:
                connection.settimeout(60)
                try:
                    connection.sendall(first)
                except OSError:
                    pass
                assert read_all(connection) == b""
        assert server.accepted == []
    assert pair.server.refusals("incoming", "access_plaintext") == 2


@pytest.mark.spec("7.access")
def test_a_transparent_mesh_lets_everything_in(pair: Pair, plain_pod: Pod) -> None:
    """Also what would be refused."""
    document = guarded("permissive")
    document.settings["transparent"] = 1
    pair.client.apply(client_document(pair, "permissive"), pair.issue(CLIENT))
    pair.server.apply(document, pair.issue(SERVER))
    with serving(pair.server.pod), plain_pod.connect(pair.server.pod.address, TCP_PORT) as connection:
        assert exchange(connection, b"ask") == b"ask"
