"""Rate limits at the destination's sidecar: whose they are, what they hold for, what they answer (contract 7.limits).

A rate of one request in eleven days takes the clock out of it: what a bucket lets in at once is all that it lets in.
"""

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.nginx import application
from tests.nginx.conftest import APPLICATION_PORT, CLIENT_ID, SERVER, Pair
from tests.nginx.documents import Match
from tests.nginx.network import Pod
from tests.nginx.peers import NEVER, Limited, Peer, pod_certificate
from tests.nginx.sidecar import Sidecar, wait_until

pytestmark = pytest.mark.spec("7.limits")


@pytest.fixture
def limited(pair: Pair, plain_pod: Pod) -> Limited:
    return Limited(pair, plain_pod)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_source_has_a_bucket(limited: Limited, count: int) -> None:
    """Pods of one service account are told apart by their certificates; the burst is everybody's own, undivided."""
    sources = [[f"shop/client-{number}"] for number in range(count)]
    limited.apply(limited.document().limit("shop/slow", NEVER, 2, "nodelay", buckets=sources))
    assert [limited.let_in(f"shop/client-{number}") for number in range(count)] == [3] * count
    assert [limited.let_in(f"shop/client-{number}") for number in range(count)] == [0] * count


def test_pods_of_a_workload_share_their_bucket(limited: Limited) -> None:
    """Also where they have several service accounts; others are not limited."""
    limited.apply(limited.document().limit("shop/slow", NEVER, 3, "nodelay", buckets=[["shop/a-0", "shop/a-1"]]))
    assert limited.let_in("shop/a-0", tries=2) == 2
    assert limited.let_in("shop/a-1", "other") == 2
    assert limited.let_in("shop/b-0") == 6


def test_a_name_counts_in_its_namespace(limited: Limited) -> None:
    """A pod of another namespace with the same name is another one, and so is a plaintext caller."""
    limited.apply(limited.document("permissive").limit("shop/slow", NEVER, 0, 0, buckets=[["shop/client-0"]]))
    assert limited.let_in("shop/client-0") == 1
    assert limited.let_in("elsewhere/client-0") == 6
    assert limited.let_in("") == 6


def test_everyone_else_has_one_bucket(limited: Limited) -> None:
    """Whom no limit names, and callers in plaintext; who is named takes nothing of it."""
    document = limited.document("permissive").limit("shop/named", NEVER, 0, "nodelay", buckets=[["shop/client-0"]])
    limited.apply(document.limit("shop/rest", NEVER, 3, "nodelay"))
    assert limited.let_in("shop/client-0") == 1
    assert limited.let_in("shop/client-1", tries=2) == 2
    assert limited.let_in("", tries=1) == 1
    assert limited.let_in("elsewhere/client-0") == 1
    assert limited.let_in("") == 0


def test_ports(limited: Limited) -> None:
    """A limit holds for its ports; the older of two that name a caller and hold for the port counts."""
    document = limited.document()
    document.limit("shop/elsewhere", NEVER, 0, "nodelay", buckets=[["shop/a-0"]], ports=[9090])
    document.limit("shop/older", NEVER, 1, "nodelay", buckets=[["shop/a-0"]], ports=[9090, APPLICATION_PORT])
    document.limit("shop/younger", NEVER, 4, "nodelay", buckets=[["shop/a-0"]])
    limited.apply(document)
    assert limited.let_in("shop/a-0") == 2
    # Nobody listens at the other port: what is let in there is answered by nobody.
    with limited.peer("shop/a-0", port=9090) as peer, pytest.raises((OSError, ValueError)):
        peer.ask()
    with limited.peer("shop/a-0", port=9090) as peer:
        assert peer.ask().headers["X-Mesh-Refused"] == "rate_limited:shop/elsewhere"


def test_rules(limited: Limited) -> None:
    """Path, method and headers as rules of a route group have them; what fits none is not limited."""
    api = Match(path="^/api/", methods="GET,POST", headers=(("x-plan", "^free$"),))
    admin = Match(path="^/admin")
    limited.apply(limited.document().limit("shop/slow", NEVER, 2, "nodelay", matches=[api, admin]))
    free = {"X-Plan": "free"}
    with limited.peer("shop/a-0") as peer:
        for path, method, headers, status in [
            ("/api/1", "GET", free, 200),
            ("/admin", "DELETE", {}, 200),
            ("/api/2", "POST", free, 200),
            ("/api/3", "GET", free, 503),
            ("/admin/x", "GET", {}, 503),
            ("/api/4", "GET", {"X-Plan": "paid"}, 200),
            ("/api/4", "GET", {}, 200),
            ("/api/4", "PUT", free, 200),
            ("/other", "GET", free, 200),
        ]:
            assert peer.ask(path, method, headers).status == status, path


@pytest.mark.spec("7.path")
@pytest.mark.parametrize("path", ["//admin", "/x/../admin", "/%61dmin", "/./admin", "/x/%2e%2e/admin"])
def test_no_spelling_of_a_path_is_a_way_around(limited: Limited, path: str) -> None:
    """The normalised path is judged, and it is what the application gets."""
    limited.apply(limited.document().limit("shop/slow", NEVER, 1, "nodelay", matches=[Match(path="^/admin$")]))
    with limited.peer("shop/a-0") as peer:
        assert peer.ask("/admin").status == 200
        assert peer.ask(f"{path}?x=%2f").echo["path"] == "/admin?x=%2f"
        assert peer.ask(path).status == 503


def test_without_paths_nothing_is_rewritten(limited: Limited) -> None:
    """A limit of methods alone leaves the path as the caller wrote it."""
    limited.apply(limited.document().limit("shop/slow", NEVER, 5, "nodelay", matches=[Match(methods="GET")]))
    with limited.peer("shop/a-0") as peer:
        assert peer.ask("/a//b/%2e?q=1").echo["path"] == "/a//b/%2e?q=1"


@pytest.mark.parametrize("status", [503, 429])
def test_what_a_refusal_says(limited: Limited, status: int) -> None:
    """Its status, the policy in header, access log and metric, and when to come again."""
    limited.apply(limited.document().limit("shop/slow", 1000, 0, "nodelay", status))
    with limited.peer("shop/a-0") as peer:
        assert peer.ask().status == 200
        refused = peer.ask()
        # The connection stays.
        assert peer.ask().status == status
    assert refused.status == status
    assert refused.headers["X-Mesh-Refused"] == "rate_limited:shop/slow"
    assert 900 < int(refused.headers["Retry-After"]) <= 1000
    series = 'nginx_mesh_refusals_total{direction="incoming",reason="rate_limited",policy="shop/slow"}'
    assert limited.pair.server.metrics()[series] == 2
    wait_until(lambda: len(limited.pair.server.log_lines()) == 3, "the access log")
    assert "rate_limited:shop/slow" in limited.pair.server.log_lines()[1]
    assert len(limited.pair.app.requests) == 1


def test_a_policy_that_changes_keeps_its_buckets(limited: Limited) -> None:
    """A new document, without reload: what came before still counts, by policy and source."""
    sources = [["shop/a-0"], ["shop/b-0"]]
    limited.apply(limited.document().limit("shop/slow", NEVER, 2, "nodelay", buckets=sources))
    assert limited.let_in("shop/a-0") == 3
    document = limited.document().limit("shop/first", NEVER, 9, buckets=[["shop/c-0"]], matches=[Match(path="^/x")])
    limited.apply(document.limit("shop/slow", NEVER, 4, "nodelay", buckets=sources))
    assert limited.let_in("shop/a-0") == 2
    assert limited.let_in("shop/b-0") == 5
    limited.apply(limited.document())
    assert limited.let_in("shop/a-0") == 6


def test_transparent_limits_nothing(limited: Limited) -> None:
    """The mesh is being removed."""
    document = limited.document("permissive").limit("shop/slow", NEVER)
    document.settings["transparent"] = 1
    limited.apply(document)
    assert limited.let_in("") == 6


def test_workers_share_the_buckets(
    start_sidecar: Callable[..., Sidecar], limited: Limited, other_pod: Pod, pair: Pair
) -> None:
    """However many connections and workers there are; a worker that dies takes nothing with it."""
    with application.serve(other_pod, APPLICATION_PORT):
        sidecar = start_sidecar(other_pod, 2)
        sidecar.apply(
            limited.document().limit("shop/slow", NEVER, 19, "nodelay", buckets=[["shop/a-0"]]), pair.issue(SERVER)
        )
        issued = pod_certificate(pair.authority, "shop/a-0")

        def statuses(connections: int) -> list[int]:
            with ExitStack() as stack:
                peers = [
                    stack.enter_context(Peer(limited.pod, other_pod.address, APPLICATION_PORT, issued))
                    for _ in range(connections)
                ]
                return [peer.ask().status for peer in peers for _ in range(2)]

        found = statuses(16)
        assert found.count(200) == 20
        assert found.count(503) == 12
        [first, second] = sidecar.worker_pids()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(set(sidecar.worker_pids()) - {first, second}) == 1, "a new worker")
        sidecar.replaced_worker()
        assert statuses(16) == [503] * 32


def test_through_both_sidecars(limited: Limited) -> None:
    """A caller's own sidecar is its pod, by its certificate; keep-alive connections are shared by callers of one pod alone."""
    limited.pair.client.apply(None, pod_certificate(limited.pair.authority, "shop/client-7"))
    limited.apply(limited.document().limit("shop/slow", NEVER, 1, "nodelay", 429, [["shop/client-7"]]))
    with limited.pair.caller() as caller:
        assert [caller.request("GET", "/").status for _ in range(3)] == [200, 200, 429]


@pytest.mark.spec("7.access")
def test_what_is_not_allowed_takes_nothing(limited: Limited) -> None:
    """Access is judged first: what is refused there is not counted against the rate."""
    document = limited.document().enforce_access()
    document.target("shop/reader", [CLIENT_ID], rules=[Match("^/books")])
    limited.apply(document.limit("shop/slow", NEVER, 1, "nodelay"))
    with limited.peer("shop/a-0") as peer:
        assert [peer.ask("/admin").status for _ in range(3)] == [403] * 3
        assert [peer.ask("/books").status for _ in range(3)] == [200, 200, 503]
