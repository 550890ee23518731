"""HTTP/1.1 in its rarer forms passes two sidecars, and the connection is in step afterwards (contract 6.http)."""

import socket

import pytest

from tests.nginx import scripted
from tests.nginx.conftest import APPLICATION_PORT, SERVER_ID, Pair
from tests.nginx.documents import To
from tests.nginx.network import Pod
from tests.nginx.scripted import OK, header, read_head
from tests.nginx.streams import read_all, read_exactly

NEXT = b"GET /next HTTP/1.1\r\nHost: shop\r\n\r\n"
UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YQ==\r\n\r\n"


def call(pair: Pair) -> socket.socket:
    """A connection of the client's application to the Service."""
    return pair.client.pod.connect(pair.service, 80)


def assert_in_step(connection: socket.socket) -> None:
    """The next request of the connection gets its own answer."""
    connection.sendall(NEXT)
    assert read_head(connection).startswith(b"HTTP/1.1 200 OK\r\n")
    assert read_exactly(connection, 2) == b"ok"


BARE = [
    (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nETag: x\r\n\r\n"),
    (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: x\r\n\r\n"),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\nETag: x\r\n\r\n"),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
    (b"DELETE", b"HTTP/1.1 204 No Content\r\nETag: x\r\n\r\n"),
    (b"POST", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\nETag: x\r\n\r\n"),
]


@pytest.mark.spec("6.http")
def test_answers_without_a_body(pair: Pair) -> None:
    """What their headers say of a length is not waited for."""
    with scripted.serving(pair, {}) as script, call(pair) as connection:
        for method, answer in BARE:
            script.answers["/bare"] = answer
            connection.sendall(method + b" /bare HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n")
            head = read_head(connection)
            assert head.split(b"\r\n")[0] == answer.split(b"\r\n")[0]
            assert header(head, b"ETag") == [b"x"]
            if method == b"HEAD" and b"5000" in answer:
                assert header(head, b"Content-Length") == [b"5000"]
            assert_in_step(connection)
    assert pair.client.handshakes("outgoing", "ok") == 1


EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n" + EARLY


@pytest.mark.spec("6.http")
def test_interim_answers_come_before_the_answer(pair: Pair) -> None:
    """102 and 103 pass in their order, 100 ends at the sidecar that nobody asked for it; then comes the answer itself."""
    answers = {"/hints": b"HTTP/1.1 100 Continue\r\n\r\n" + INTERIM + OK, "/next": EARLY + OK}
    with scripted.serving(pair, answers), call(pair) as connection:
        for retries in (0, 2):
            endpoint = To(pair.server.pod.address, scripted.PORT, SERVER_ID)
            pair.client.apply(pair.client_document(endpoints=[endpoint]).request(0, retries))
            connection.sendall(b"GET /hints HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert read_exactly(connection, len(INTERIM)) == INTERIM
            assert read_head(connection).startswith(b"HTTP/1.1 200 OK\r\n")
            assert read_exactly(connection, 2) == b"ok"
            connection.sendall(NEXT)
            assert read_head(connection) == EARLY
            assert read_head(connection).startswith(b"HTTP/1.1 200 OK\r\n")
            assert read_exactly(connection, 2) == b"ok"
    assert pair.client.handshakes("outgoing", "ok") == 1
    assert [value for name, value in pair.client.metrics().items() if 'code="2xx"' in name] == [4]


@pytest.mark.spec("6.retries")
def test_an_interim_answer_is_forgotten_with_its_attempt(pair: Pair) -> None:
    """The endpoint dies between the two: the request is made again, and the caller gets one answer."""
    with scripted.serving(pair, {}) as script, call(pair) as connection:
        endpoint = To(pair.server.pod.address, scripted.PORT, SERVER_ID)
        pair.client.apply(pair.client_document(endpoints=[endpoint]).request(0, 1))
        script.once["/dies"] = EARLY
        script.answers["/dies"] = EARLY + OK
        connection.sendall(b"GET /dies HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_exactly(connection, 2 * len(EARLY)) == EARLY * 2
        assert read_head(connection).startswith(b"HTTP/1.1 200 OK\r\n")
        assert read_exactly(connection, 2) == b"ok"
        assert_in_step(connection)
    assert len(script.heads) == 3


@pytest.mark.spec("6.http")
def test_an_interim_answer_is_seen_before_the_answer_exists(pair: Pair) -> None:
    """It is not held back; a caller of HTTP/1.0 does not know it, and gets the answer alone."""
    with scripted.serving(pair, {"/early": EARLY}) as script, call(pair) as connection:
        connection.sendall(b"GET /early HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_head(connection) == EARLY
        script.answers["/early"] = EARLY + OK
        with call(pair) as old:
            old.sendall(b"GET /early HTTP/1.0\r\nHost: shop\r\n\r\n")
            assert read_all(old).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.spec("6.http")
def test_interim_answers_without_end_are_an_error(pair: Pair) -> None:
    """Heads of an answer have a limit, all together: then it is 502, and the sidecar serves on."""
    with scripted.serving(pair, {"/endless": EARLY * 2000}), call(pair) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
        assert b"HTTP/1.1 502 " in read_all(connection)
        with call(pair) as other:
            assert_in_step(other)


@pytest.mark.spec("6.http")
def test_trailers_end_at_the_sidecar(pair: Pair) -> None:
    """Of chunked HTTP/1.1 the bodies pass whole, in both directions; trailers are left out, as RFC 9110, 6.5.1 allows."""
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    with scripted.serving(pair, {"/sum": answer}), call(pair) as connection:
        connection.sendall(b"GET /sum HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_head(connection).startswith(b"HTTP/1.1 200 OK\r\n")
        assert read_exactly(connection, 13) == b"3\r\nabc\r\n0\r\n\r\n"
        assert_in_step(connection)
    pair.set_up()
    with call(pair) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTrailer: Host\r\n\r\n"
            b'5;name="a;b"\r\nhello\r\n0\r\nHost: other\r\nX-Mesh-Peer-Identity: forged\r\n\r\n'
            b"GET /status/204 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
        )
        answers = read_all(connection)
    assert b'"body_length": 5' in answers
    assert b"forged" not in answers
    assert answers.count(b"HTTP/1.1 204") == 1


@pytest.mark.spec("6.http")
def test_an_upgrade_that_the_application_refuses(pair: Pair) -> None:
    """Its answer is one as any other, and the connection goes on with requests."""
    with scripted.serving(pair, {}) as script, call(pair) as connection:
        for status in (b"200 OK", b"403 Forbidden", b"426 Upgrade Required"):
            script.answers["/websocket"] = b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nno"
            connection.sendall(b"GET /websocket HTTP/1.1\r\nHost: shop\r\n" + UPGRADE)
            assert read_head(connection).startswith(b"HTTP/1.1 " + status)
            assert read_exactly(connection, 2) == b"no"
            assert_in_step(connection)
    assert header(script.heads[0], b"Upgrade") == [b"websocket"]
    assert header(script.heads[0], b"Connection") == [b"upgrade"]


@pytest.mark.spec("6.http")
def test_an_upgrade_to_http2_is_not_offered_to_the_application(pair: Pair) -> None:
    """The caller gets its answer in HTTP/1.1, as one gets that the server does not know h2c."""
    upgrade = b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    with scripted.serving(pair, {}) as script, call(pair) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n" + upgrade)
        assert read_head(connection).startswith(b"HTTP/1.1 200")
        assert read_exactly(connection, 2) == b"ok"
        assert_in_step(connection)
    assert header(script.heads[0], b"Upgrade") == []


@pytest.mark.spec("6.http")
def test_http2_on_an_http_port_is_refused_at_once(pair: Pair, plain_pod: Pod) -> None:
    """A port that carries HTTP/2 is declared so; on another the preface is an error, at the first sidecar that sees it."""
    pair.set_up("permissive")
    for connection in (call(pair), plain_pod.connect(pair.server.pod.address, APPLICATION_PORT)):
        with connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            assert read_all(connection)[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 405", b"HTTP/1.1 505", b""}
    assert pair.app.requests == []


OLD = [
    (b"GET /old HTTP/1.0", b"", b""),
    (b"GET /old HTTP/1.0", b"Host: shop\r\n", b"shop"),
    (b"GET http://shop:8000/old HTTP/1.0", b"", b"shop:8000"),
]


@pytest.mark.spec("6.http")
@pytest.mark.parametrize("direct", [False, True])
def test_http_1_0(pair: Pair, plain_pod: Pod, direct: bool) -> None:
    """Also without a Host: the application gets one, the address that was called; the answer ends the connection."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    pod, address, port = pair.client.pod, pair.service, 80
    if direct:
        pod, address, port = plain_pod, pair.server.pod.address, scripted.PORT
    with scripted.serving(pair, {"/old": chunked}, "permissive") as script:
        for line, host, expected in OLD:
            with pod.connect(address, port) as connection:
                connection.sendall(line + b"\r\n" + host + b"\r\n")
                answered = read_all(connection)
            assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answered.endswith(b"\r\n\r\nabc")
            assert header(script.heads[-1], b"Host") == [expected or b"%s:%d" % (address.encode(), port)]
            assert script.heads[-1].startswith(b"GET /old HTTP/1.1\r\n")


@pytest.mark.spec("6.http")
def test_http_1_0_that_keeps_its_connection(pair: Pair) -> None:
    """Where the caller asks for it and the answer has a length."""
    with scripted.serving(pair, {}), call(pair) as connection:
        for _ in range(3):
            connection.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert header(read_head(connection), b"Connection") == [b"keep-alive"]
            assert read_exactly(connection, 2) == b"ok"
    assert pair.client.handshakes("outgoing", "ok") == 1


@pytest.mark.spec("6.http")
def test_absolute_form(pair: Pair) -> None:
    """The application gets the path, and the Host as it was."""
    with scripted.serving(pair, {}) as script, call(pair) as connection:
        for target, path in ((b"/a//b%2f?c=d", b"/a//b%2f?c=d"), (b"", b"/"), (b"/*", b"/*")):
            connection.sendall(b"GET http://shop:80" + target + b" HTTP/1.1\r\nHost: shop:80\r\n\r\n")
            assert read_head(connection).startswith(b"HTTP/1.1 200")
            assert read_exactly(connection, 2) == b"ok"
            assert script.heads[-1].startswith(b"GET " + path + b" HTTP/1.1\r\n")
            assert header(script.heads[-1], b"Host") == [b"shop:80"]


@pytest.mark.spec("6.http")
def test_methods_that_a_sidecar_does_not_pass(pair: Pair, plain_pod: Pod) -> None:
    """No tunnel through a sidecar to anywhere, no echo of headers: 4xx, and the application sees nothing."""
    pair.set_up("permissive")
    for line in (b"CONNECT shop:443 HTTP/1.1", b"CONNECT 198.19.0.1:22 HTTP/1.1", b"TRACE / HTTP/1.1"):
        for connection in (call(pair), plain_pod.connect(pair.server.pod.address, APPLICATION_PORT)):
            with connection:
                connection.sendall(line + b"\r\nHost: shop\r\nConnection: close\r\n\r\n")
                assert read_all(connection)[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 405"}
    assert pair.app.requests == []


@pytest.mark.spec("6.http")
def test_any_other_method_passes(pair: Pair) -> None:
    """Those of WebDAV and those of nobody."""
    with scripted.serving(pair, {}) as script, call(pair) as connection:
        for method in (b"OPTIONS", b"PATCH", b"PROPFIND", b"PURGE", b"BREW", b"M-SEARCH"):
            connection.sendall(method + b" /pot HTTP/1.1\r\nHost: shop\r\n\r\n")
            assert read_head(connection).startswith(b"HTTP/1.1 200")
            assert read_exactly(connection, 2) == b"ok"
            assert script.heads[-1].startswith(method + b" /pot HTTP/1.1\r\n")


@pytest.mark.spec("6.http")
def test_long_urls_pass(pair: Pair) -> None:
    """30,000 bytes of path and query through both sidecars."""
    with scripted.serving(pair, {}) as script, call(pair) as connection:
        target = b"/" + b"p" * 15_000 + b"?" + b"q" * 15_000
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: shop\r\n\r\n")
        assert read_head(connection).startswith(b"HTTP/1.1 200")
        assert read_exactly(connection, 2) == b"ok"
        assert_in_step(connection)
    assert script.heads[0].split()[1] == target


@pytest.mark.spec("6.body-size")
def test_a_refused_body_spoils_no_later_request(pair: Pair) -> None:
    """After 413 the caller's next requests are served, whether it announced the body, sent it in chunks, or waited for leave."""
    body = b"x" * (1 << 20) + b"y"
    for headers, sent in (
        (b"Content-Length: %d\r\n" % len(body), body),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)),
        (b"Content-Length: %d\r\nExpect: 100-continue\r\n" % len(body), body),
    ):
        for _ in range(3):
            with call(pair) as connection:
                connection.sendall(b"POST / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n" + headers + b"\r\n" + sent)
                answers = read_all(connection).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert answers.startswith(b"HTTP/1.1 413 "), headers
            with pair.caller() as caller:
                assert [caller.request("GET", "/").status for _ in range(3)] == [200] * 3
    assert set(pair.app.requests) == {"/"}
    assert len(pair.app.requests) == 27
