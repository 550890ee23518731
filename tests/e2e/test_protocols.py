"""gRPC and TCP between pods of a real cluster, in strict and permissive (contract 6.grpc, 6.tcp)."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from mesh.api import names
from tests.e2e.apps import App
from tests.e2e.mesh_under_test import MeshUnderTest, address

STRICT = {names.ANNOTATION_MTLS_MODE: "strict"}
GRPC, TCP, GREET = 9090, 9000, 9001
HANDSHAKES = "nginx_mesh_handshakes_total"
REFUSALS = "nginx_mesh_refusals_total"


@pytest.fixture(scope="module")
def places(mesh: MeshUnderTest) -> Iterator[tuple[str, str]]:
    """An injected namespace with a strict and a permissive server and a caller; one with a stranger without a sidecar."""
    inside = f"e2e-protocols-{secrets.token_hex(3)}"
    outside = f"{inside}-outside"

    def server(name: str, annotations: dict[str, str]) -> App:
        services = {f"{name}-grpc": (50051, GRPC), f"{name}-tcp": (6000, TCP), f"{name}-greet": (6001, GREET)}
        return App(
            name,
            mesh.image,
            (8080,),
            services,
            annotations=annotations,
            grpc_ports=(GRPC,),
            tcp_ports=(TCP,),
            greet_ports=(GREET,),
        )

    mesh.create(inside, server("strict", STRICT), server("open", {}), App("caller", mesh.image, (8080,)))
    mesh.create(outside, App("stranger", mesh.image, (8080,)), injected=False)
    mesh.wait_synced()
    yield inside, outside
    for name in (inside, outside):
        mesh.kubectl.run("delete", "namespace", name, "--wait=false")


def only(answers: list[dict[str, Any]]) -> dict[str, Any]:
    [answer] = answers
    return answer


@pytest.mark.spec("6.grpc")
@pytest.mark.parametrize("server", ["strict", "open"])
def test_grpc_calls_of_every_kind(mesh: MeshUnderTest, places: tuple[str, str], server: str) -> None:
    """Unary and the three streaming kinds; the server learns who calls from the certificate."""
    inside, _ = places
    target = f"{server}-grpc:50051"
    report = only(mesh.ask(inside, "caller", "grpc", target))
    assert report["status"] == "OK", report
    assert report["answers"][0]["metadata"]["x-mesh-peer-identity"] == f"spiffe://example.org/ns/{inside}/sa/caller"
    repeated = only(mesh.ask(inside, "caller", "grpc", target, "--method", "Repeat", "--message", "40"))
    assert repeated["answers"] == ["40"] * 40, repeated
    messages = [item for number in range(20) for item in ("--message", f"m{number}")]
    counted = only(mesh.ask(inside, "caller", "grpc", target, "--method", "Count", *messages))
    assert counted["answers"] == ["20"], counted
    echoed = only(mesh.ask(inside, "caller", "grpc", target, "--method", "Echo", *messages))
    assert echoed["answers"] == [f"m{number}" for number in range(20)], echoed


@pytest.mark.spec("6.tcp")
@pytest.mark.parametrize("server", ["strict", "open"])
def test_tcp_goes_over_mutual_tls(mesh: MeshUnderTest, places: tuple[str, str], server: str) -> None:
    """Whoever speaks first, by Service and by pod address; each connection is a handshake at the server's sidecar."""
    inside, _ = places
    pod = mesh.pod(inside, server)
    before = mesh.total(pod, HANDSHAKES, direction="incoming", result="ok")
    targets = [f"{server}-tcp:6000", f"{address(pod)}:{TCP}"]
    answers = mesh.ask(inside, "caller", "talk", *targets, "--text", "over")
    assert [answer["received"] for answer in answers] == ["over", "over"], answers
    targets = [f"{server}-greet:6001", f"{address(pod)}:{GREET}"]
    answers = mesh.ask(inside, "caller", "talk", *targets, "--text", "over", "--listen-first")
    assert [answer["received"] for answer in answers] == [f"{server} speaks first\nover"] * 2, answers
    assert mesh.total(pod, HANDSHAKES, direction="incoming", result="ok") >= before + 4


@pytest.mark.spec("3.modes")
def test_a_stranger_is_refused_by_strict(mesh: MeshUnderTest, places: tuple[str, str]) -> None:
    """Without a sidecar neither gRPC nor TCP reaches a strict pod: no byte comes back, and it is counted."""
    inside, outside = places
    pod = mesh.pod(inside, "strict")
    before = mesh.total(pod, REFUSALS, direction="incoming")
    called = only(mesh.ask(outside, "stranger", "grpc", f"strict-grpc.{inside}:50051", "--timeout", "5"))
    assert called["status"] != "OK", called
    told = mesh.ask(outside, "stranger", "talk", f"strict-tcp.{inside}:6000", f"{address(pod)}:{TCP}", "--timeout", "5")
    assert [answer["received"] for answer in told] == ["", ""], told
    assert mesh.total(pod, REFUSALS, direction="incoming") >= before + 2


@pytest.mark.spec("3.modes")
def test_a_stranger_is_served_by_permissive(mesh: MeshUnderTest, places: tuple[str, str]) -> None:
    """Plaintext gRPC, TCP, and TCP whose server speaks first."""
    inside, outside = places
    called = only(mesh.ask(outside, "stranger", "grpc", f"open-grpc.{inside}:50051"))
    assert called["status"] == "OK", called
    assert "x-mesh-peer-identity" not in called["answers"][0]["metadata"]
    told = only(mesh.ask(outside, "stranger", "talk", f"open-tcp.{inside}:6000"))
    assert told["received"] == "hello", told
    told = only(mesh.ask(outside, "stranger", "talk", f"open-greet.{inside}:6001", "--listen-first"))
    assert told["received"] == "open speaks first\nhello", told
