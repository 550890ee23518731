"""Who may call a pod: TrafficTargets as its own sidecar judges them, by the caller's certificate (contract 7.access)."""

import json
from collections.abc import Sequence

import pytest

from tests.nginx.conftest import APPLICATION_PORT, CLIENT, CLIENT_ID, SERVER, Pair
from tests.nginx.documents import Document, Match, escaped
from tests.nginx.network import Pod
from tests.nginx.processes import most_memory_kib
from tests.nginx.sidecar import Client, get, wait_until
from tests.nginx.test_http import upgraded

OTHER_ID = "spiffe://example.org/ns/shop/sa/other"


def guarded(mode: str = "strict") -> Document:
    """A server that lets in what targets allow; none yet."""
    return Pair.server_document(mode).enforce_access()


def statuses(pair: Pair, requests: Sequence[tuple[str, str]]) -> list[int]:
    """What the client's application gets, on one connection."""
    with pair.caller() as caller:
        return [caller.request(method, path).status for method, path in requests]


@pytest.mark.spec("7.access")
def test_nobody_comes_in_whom_no_target_names(pair: Pair) -> None:
    """403 with the reason to the caller, in its log and in the metrics; the application sees nothing."""
    pair.server.apply(guarded().target("shop/for-another", [OTHER_ID]).target("shop/for-nobody", []))
    with pair.caller() as caller:
        response = caller.request("GET", "/")
        again = caller.request("POST", "/", b"x" * 10_000)
    assert (response.status, again.status) == (403, 403)
    assert response.headers["X-Mesh-Refused"] == "access_no_target"
    assert pair.server.refusals("incoming", "access_no_target") == 2
    assert pair.app.requests == []
    wait_until(lambda: len(pair.server.log_lines()) == 2, "the access log")
    assert all('refused="access_no_target"' in line for line in pair.server.log_lines())


@pytest.mark.spec("7.access")
def test_a_target_without_rules_lets_its_sources_in(pair: Pair) -> None:
    """On every port, or on its own; another port is none of its business."""
    pair.server.apply(guarded().target("shop/all", [OTHER_ID, CLIENT_ID]))
    assert statuses(pair, [("GET", "/"), ("DELETE", "/any")]) == [200, 200]
    pair.server.apply(guarded().target("shop/port", [CLIENT_ID], port=APPLICATION_PORT))
    assert statuses(pair, [("GET", "/")]) == [200]
    pair.server.apply(guarded().target("shop/other-port", [CLIENT_ID], port=APPLICATION_PORT + 1))
    assert statuses(pair, [("GET", "/")]) == [403]
    assert pair.server.refusals("incoming", "access_no_target") == 1


@pytest.mark.spec("7.access")
def test_rules_of_all_targets_add_up(pair: Pair) -> None:
    """Methods, paths and headers; a refusal names the first target that is for the caller and the port."""
    document = guarded().target("shop/other", [OTHER_ID])
    document.target("shop/second-port", [CLIENT_ID], port=1)
    document.target("shop/read", [CLIENT_ID], rules=[Match("^/books", "GET,HEAD"), Match("^/stars$")])
    document.target(
        "shop/write", [CLIENT_ID], rules=[Match("^/books", "POST", (("x-tenant", "^red$"), ("x-key", "-")))]
    )
    pair.server.apply(document)
    allowed = [("GET", "/books"), ("GET", "/books/1?query=/x"), ("DELETE", "/stars")]
    refused = [("PUT", "/books"), ("GET", "/"), ("GET", "/?/books"), ("GET", "/stars/"), ("POST", "/books")]
    assert statuses(pair, allowed) == [200] * 3
    assert statuses(pair, refused) == [403] * 5
    with pair.caller() as caller:
        keys = {"X-Tenant": "red", "X-KEY": ""}
        assert caller.request("POST", "/books", b"", keys).status == 200
        assert caller.request("POST", "/books", b"", {**keys, "X-Tenant": "Red"}).status == 403
        response = caller.request("POST", "/books", b"", {"X-Tenant": "red"})
    assert response.headers["X-Mesh-Refused"] == "access_no_rule:shop/read"
    series = 'nginx_mesh_refusals_total{direction="incoming",reason="access_no_rule",policy="shop/read"}'
    assert pair.server.metrics()[series] == 7
    wait_until(lambda: len(pair.server.log_lines()) == 11, "the access log")
    assert sum('refused="access_no_rule:shop/read"' in line for line in pair.server.log_lines()) == 7


@pytest.mark.spec("7.access", "7.match")
def test_values_of_a_repeated_header_are_joined(pair: Pair) -> None:
    """By a comma and a space, in their order."""
    rule = Match(headers=(("x-role", escaped("^reader, writer$")),))
    pair.server.apply(guarded().target("shop/roles", [CLIENT_ID], rules=[rule]))
    with pair.client.pod.connect(pair.service, 80) as connection:
        for values, status in ((["reader", "writer"], b"200"), (["writer", "reader"], b"403"), (["reader"], b"403")):
            headers = "".join(f"X-Role: {value}\r\n" for value in values)
            connection.sendall(f"GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
            answer = b""
            while not answer.endswith((b"}", b"</html>\r\n")):
                answer += connection.recv(4096)
            assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.spec("7.access", "7.match")
def test_a_header_may_have_any_name(pair: Pair) -> None:
    """Also of characters that nginx leaves out when it compares names."""
    rule = Match(headers=(("x.user!_a", "^me$"),))
    pair.server.apply(guarded().target("shop/user", [CLIENT_ID], rules=[rule]))
    with pair.caller() as caller:
        assert caller.request("GET", "/", headers={"X.User!_A": "me"}).status == 200
        assert caller.request("GET", "/", headers={"XUser_A": "me"}).status == 403


@pytest.mark.spec("7.access")
def test_many_matches_of_a_header_that_is_sent_often(pair: Pair) -> None:
    """Its values are joined once for a request: what a caller can make a worker hold does not grow with the rules."""
    rules = [Match(headers=(("x-role", escaped(f"^role-{number}$")),)) for number in range(300)]
    pair.server.apply(guarded().target("shop/roles", [CLIENT_ID], rules=rules))
    assert statuses(pair, [("GET", "/")]) == [403]
    before = most_memory_kib(pair.server.worker_pid)
    headers = f"X-Role: {'r' * 1000}\r\n" * 90
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert most_memory_kib(pair.server.worker_pid) - before < 32 * 1024


@pytest.mark.spec("7.access")
def test_changes_hold_at_once_for_every_request(pair: Pair) -> None:
    """On connections that are open, and without another worker; a transparent mesh lets everything in."""
    worker = pair.server.worker_pid
    with pair.caller() as caller:
        for _ in range(3):
            pair.server.apply(guarded().target("shop/all", [CLIENT_ID]))
            assert caller.request("GET", "/").status == 200
            pair.server.apply(guarded())
            assert caller.request("GET", "/").status == 403
        transparent = guarded()
        transparent.settings["transparent"] = 1
        pair.server.apply(transparent)
        assert caller.request("GET", "/").status == 200
        pair.server.apply(pair.server_document().target("shop/nobody", []))
        assert caller.request("GET", "/").status == 200
    assert pair.server.worker_pid == worker


@pytest.mark.spec("7.access")
@pytest.mark.parametrize("mode", ["permissive", "off"])
def test_plaintext_has_no_identity(pair: Pair, plain_pod: Pod, mode: str) -> None:
    """Whatever it says of itself; where nothing is enforced it comes in. Strangers are not told which policies there are."""
    pair.client.apply(pair.client_document("permissive"), pair.issue(CLIENT))
    pair.server.apply(pair.server_document(mode), pair.issue(SERVER))
    assert get(plain_pod, pair.server.pod.address, APPLICATION_PORT)[0] == 200
    rules = [Match(headers=(("x-mesh-peer-identity", "-"),))]
    document = guarded(mode).target("shop/all", [CLIENT_ID]).target("shop/header", [OTHER_ID], rules=rules)
    pair.server.apply(document)
    with Client(plain_pod, pair.server.pod.address, APPLICATION_PORT) as client:
        forged = {"X-Mesh-Peer-Identity": CLIENT_ID, "X-Forwarded-Client-Cert": f"URI={CLIENT_ID}"}
        response = client.request("GET", "/", headers=forged)
    assert response.status == 403
    assert "X-Mesh-Refused" not in response.headers
    assert pair.server.refusals("incoming", "access_plaintext") == 1
    with pair.caller() as caller:
        assert caller.request("GET", "/").status == 200
    assert pair.app.requests == ["/", "/"]


@pytest.mark.spec("7.access", "3.identity-headers")
@pytest.mark.parametrize("name", ["X-Mesh-Peer-Identity", "x_mesh_peer_identity", "X-Forwarded-Client-Cert"])
def test_only_the_certificate_says_who_calls(pair: Pair, name: str) -> None:
    """Headers that callers write do nothing, neither as identity nor as a criterion of a rule."""
    rules = [Match(headers=((name.lower(), "-"),))]
    pair.server.apply(guarded().target("shop/other", [OTHER_ID]).target("shop/header", [CLIENT_ID], rules=rules))
    with pair.caller() as caller:
        assert caller.request("GET", "/", headers={name: OTHER_ID}).status == 403
    assert pair.app.requests == []


@pytest.mark.spec("7.access", "7.path")
@pytest.mark.parametrize(
    "target",
    [
        "//admin",
        "/%2e%2e/admin",
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public%2f..%2fadmin",
        "/./admin",
        "/admin%2f",
        "/%61dmin",
        "/public/.%2e//admin",
        "http://x/admin",
        "http://x//admin?/public",
        "/public/\\..\\../../../admin",
        "/public%00/../admin",
        "\\admin",
        "/public/%c0%ae%c0%ae/../../admin",
        "/public;/../admin",
        "/public/..;/../../admin/",
        "/admin#/public",
        "*",
    ],
)
def test_no_writing_of_a_path_comes_around_a_rule(pair: Pair, target: str) -> None:
    """What the application gets is what was judged: here never anything but /public."""
    pair.server.apply(guarded().target("shop/public", [CLIENT_ID], rules=[Match("^/public(/|$)")]))
    with pair.client.pod.connect(pair.service, 80) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 403")), answer
    assert pair.app.requests == []


@pytest.mark.spec("7.access", "7.path")
def test_the_path_goes_on_as_it_was_judged(pair: Pair) -> None:
    """Normalised where a pattern judged it, with its query; as it was written where none did."""
    written = "/public//./a%2Fb/../c%3Fd%25%20;e?x=%2F//"
    pair.server.apply(guarded().target("shop/public", [CLIENT_ID], rules=[Match("^/public/")]))
    assert statuses(pair, [("GET", written)]) == [200]
    pair.server.apply(guarded().target("shop/all", [CLIENT_ID]))
    assert statuses(pair, [("GET", written)]) == [200]
    pair.server.apply(guarded().target("shop/method", [CLIENT_ID], rules=[Match(methods="GET")]))
    assert statuses(pair, [("GET", written)]) == [200]
    assert pair.app.requests == ["/public/a/c%3Fd%25%20;e?x=%2F//", written, written]


@pytest.mark.spec("7.access", "7.match")
def test_a_pattern_without_end_lets_nobody_in_and_holds_nobody_up(pair: Pair) -> None:
    """The search is given up; requests that another target allows are served all the same."""
    document = guarded().target("shop/slow", [CLIENT_ID], rules=[Match(escaped("^/(a+)+$"))])
    pair.server.apply(document)
    assert statuses(pair, [("GET", "/" + "a" * 4000 + "!")] * 20) == [403] * 20
    document.target("shop/get", [CLIENT_ID], rules=[Match(methods="GET")])
    pair.server.apply(document)
    assert statuses(pair, [("GET", "/" + "a" * 4000 + "!")] * 20) == [200] * 20


@pytest.mark.spec("7.access", "6.websocket")
def test_an_upgrade_is_judged_as_a_request(pair: Pair) -> None:
    """Once it is a WebSocket, changes leave it alone while one of its rules is there."""
    pair.server.apply(guarded().target("shop/socket", [CLIENT_ID], rules=[Match("^/websocket$", "GET")]))
    with upgraded(pair) as echo:
        assert echo(b"in") == b"in"
        pair.server.apply(guarded().target("shop/other", [CLIENT_ID], rules=[Match("^/websocket$", "GET")]))
        assert echo(b"still") == b"still"
        pair.server.apply(guarded())
        assert statuses(pair, [("GET", "/websocket")]) == [403]


@pytest.mark.spec("7.access")
def test_three_hundred_targets(pair: Pair) -> None:
    """Each for a caller of its own: the one for this caller counts, and none of the others."""
    document = guarded()
    for number in range(300):
        document.target(f"shop/target-{number}", [f"{OTHER_ID}-{number}"], rules=[Match(f"^/{number}/")])
    pair.server.apply(document)
    assert statuses(pair, [("GET", "/7/")]) == [403]
    document.target("shop/ours", [CLIENT_ID], rules=[Match("^/ours/")])
    pair.server.apply(document)
    assert statuses(pair, [("GET", "/ours/"), ("GET", "/7/")]) == [200, 403]


@pytest.mark.spec("6.state", "7.access")
@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["access\toff"], 'access: got "off", takes enforced'),
        (["target\t0\t0\tall"], 'policy: got "0", takes the number of a policy line above'),
        (["policy\t0\tsplit\ta/b", "target\t0\t0\tall"], 'policy: got "0", takes a policy of this kind of line'),
        (["policy\t0\ttarget\ta/b", "target\t0\t65536\tall"], 'port: got "65536", takes 0..65535'),
        (["policy\t0\ttarget\ta/b", "target\t0\t0\tnone"], 'rules: got "none", takes all, some'),
        (["target_source\t0"], 'target: got "target_source", takes a target line above'),
        (["target_match\t0"], 'target: got "target_match", takes a target line above'),
        (["target_tcp"], 'target: got "target_tcp", takes a target line above'),
        (["policy\t0\ttarget\ta/b", "target\t0\t0\tall", "target_source\t0"], 'identity: got "0", takes the number'),
        (["policy\t0\ttarget\ta/b", "target\t0\t0\tall", "target_match\t0"], 'match: got "0", takes the number'),
    ],
)
def test_malformed_lines_are_refused_by_name(pair: Pair, lines: list[str], error: str) -> None:
    """What was applied before stays."""
    pair.server.apply(guarded())
    document = pair.server_document()
    for line in lines:
        document.line(line)
    pair.server.write("state", document.render())
    status, text = pair.server.request("POST", "/apply")
    assert status == 422
    assert error in text
    assert statuses(pair, [("GET", "/")]) == [403]


@pytest.mark.spec("7.unsearchable", "7.access")
def test_a_pattern_that_cannot_be_searched_closes_its_rule_alone(pair: Pair) -> None:
    """What it belongs to lets nobody in; other policies do what they say, and the status names the line."""
    document = guarded().target("shop/wrong", [CLIENT_ID], rules=[Match("("), Match("^/right")])
    pair.server.apply(document.target("shop/other", [CLIENT_ID], rules=[Match("^/other")]))
    assert statuses(pair, [("GET", "/right"), ("GET", "/other"), ("GET", "/(")]) == [200, 200, 403]
    [told] = pair.server.status()["unsearchable"]
    assert 'path: got "(", takes a PCRE2 pattern (at 1: missing closing parenthesis)' in told
    assert pair.server.apply(guarded())["unsearchable"] == []


@pytest.mark.spec("7.reasons")
def test_reasons_are_told_for_refusals_of_every_kind(pair: Pair) -> None:
    """Also where no policy is to blame: to the own application, and as a field of the JSON log."""
    document = pair.client_document(endpoints=[])
    document.settings["log_format"] = "json"
    pair.client.apply(document)
    with pair.caller() as caller:
        response = caller.request("GET", "/")
    assert (response.status, response.headers["X-Mesh-Refused"]) == (503, "no_endpoint")
    wait_until(pair.client.log_lines, "the access log")
    assert json.loads(pair.client.log_lines()[0])["refused"] == "no_endpoint"
