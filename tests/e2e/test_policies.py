"""Policies beyond the tutorials: gRPC, TCP and headless Services, plaintext callers, what meshctl tells, and killed processes."""

import json
import os
import re
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mesh.api import names
from samples.kubectl import KubectlError
from tests.e2e.apps import App, namespace_object
from tests.e2e.eventually import eventually
from tests.e2e.load import Load
from tests.e2e.mesh_under_test import NAMESPACE, READY_SECONDS, MeshUnderTest

HTTP, GRPC, TCP = 8080, 9090, 9000
APPLIED_SECONDS = 20.0
LOAD_SECONDS = 6.0
REFUSALS = "nginx_mesh_refusals_total"
ALLOWED, DENIED = "http://server/api/items", "http://server/other"


@dataclass(frozen=True, slots=True)
class Place:
    """A server with a target on each of its ports for one caller, another caller, headless peers; a stranger without a sidecar."""

    mesh: MeshUnderTest
    inside: str
    outside: str

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects of the inner namespace."""
        for item in objects:
            item["metadata"]["namespace"] = self.inside
        self.mesh.kubectl.apply(*objects)

    def statuses(self, caller: str, *arguments: str) -> Counter[int]:
        """The statuses of HTTP calls by one of the inside."""
        return Counter(answer["status"] for answer in self.mesh.call(self.inside, caller, *arguments))

    def servers(self, caller: str, *arguments: str) -> Counter[str]:
        """The pods that answered; an answer that is no report counts by its status."""
        answers = self.mesh.call(self.inside, caller, *arguments)
        return Counter(answer.get("body", {}).get("pod", f"status {answer['status']}") for answer in answers)

    def grpc(self, caller: str, method: str = "Report") -> str:
        """The status of one gRPC call to the server."""
        where = self.outside if caller == "stranger" else self.inside
        [answer] = self.mesh.ask(where, caller, "grpc", f"server-grpc.{self.inside}:50051", "--method", method)
        return str(answer["status"])

    def tcp(self, caller: str) -> str:
        """What came back over one TCP connection to the server."""
        where = self.outside if caller == "stranger" else self.inside
        [answer] = self.mesh.ask(where, caller, "talk", f"server-tcp.{self.inside}:6000", "--text", "over")
        return str(answer["received"])

    def why(self, caller: str, destination: str, *request: str) -> dict[str, Any]:
        """What meshctl says of a call."""
        where = self.outside if caller == "stranger" else self.inside
        told = self.mesh.meshctl("why", f"{where}/{caller}", f"{self.inside}/{destination}", *request, "-o", "json")
        assert told.returncode == 0, told.stderr
        document: dict[str, Any] = json.loads(told.stdout)
        return document


def policy(kind: str, api_version: str, name: str, /, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def target(name: str, port: int, kind: str, *matches: str, source: str = "friend") -> dict[str, Any]:
    rule = {"kind": kind, "name": "routes", **({"matches": list(matches)} if matches else {})}
    destination = {"kind": "ServiceAccount", "name": "server", "port": port}
    sources = [{"kind": "ServiceAccount", "name": source}]
    return policy(
        "TrafficTarget", "access.smi-spec.io/v1alpha2", name, destination=destination, sources=sources, rules=[rule]
    )


ROUTES = policy(
    "HTTPRouteGroup",
    "specs.smi-spec.io/v1alpha3",
    "routes",
    matches=[{"name": "api", "pathRegex": "^/api/", "methods": ["GET"]}, {"name": "report", "pathRegex": "/Report$"}],
)
ACCESS = (
    ROUTES,
    policy("TCPRoute", "specs.smi-spec.io/v1alpha3", "routes"),
    target("http", HTTP, "HTTPRouteGroup", "api"),
    target("grpc", GRPC, "HTTPRouteGroup", "report"),
    target("tcp", TCP, "TCPRoute"),
)


def headless(app: App, namespace: str) -> list[dict[str, Any]]:
    """*app* as a StatefulSet of two behind a headless Service of its name."""
    account, workload = app.objects(namespace)
    workload["kind"] = "StatefulSet"
    workload["spec"] |= {"replicas": 2, "serviceName": app.name, "podManagementPolicy": "Parallel"}
    ports = [{"name": "http", "port": HTTP}]
    spec = {"clusterIP": "None", "selector": {"app": app.name}, "ports": ports}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": app.name, "namespace": namespace},
        "spec": spec,
    }
    return [account, workload, service]


@pytest.fixture(scope="module")
def place(mesh: MeshUnderTest) -> Iterator[Place]:
    """Everything deployed, and the targets in force."""
    inside = f"e2e-policies-{secrets.token_hex(3)}"
    found = Place(mesh, inside, f"{inside}-out")
    services = {"server": (80, HTTP), "server-grpc": (50051, GRPC), "server-tcp": (6000, TCP), "spare": (HTTP, HTTP)}
    server = App("server", mesh.image, (HTTP,), services, grpc_ports=(GRPC,), tcp_ports=(TCP,))
    peers = headless(App("peer", mesh.image, (HTTP,)), inside)
    try:
        mesh.kubectl.apply(namespace_object(inside, injected=True), namespace_object(found.outside, injected=False))
        mesh.kubectl.apply(*peers, *App("stranger", mesh.image, (HTTP,)).objects(found.outside))
        mesh.deploy(inside, server, App("friend", mesh.image, (HTTP,)), App("other", mesh.image, (HTTP,)))
        mesh.kubectl.rollout(inside, "statefulset/peer", READY_SECONDS)
        mesh.kubectl.rollout(found.outside, "deployment/stranger", READY_SECONDS)
        found.apply(*ACCESS)
        eventually(lambda: found.statuses("friend", DENIED) == {403: 1}, APPLIED_SECONDS, "a refusal")
        mesh.wait_synced()
        yield found
    finally:
        for name in (found.inside, found.outside):
            mesh.kubectl.run("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.mark.spec("7.access")
def test_access_on_grpc_and_tcp_ports(place: Place) -> None:
    """Who is named may make the gRPC call that is described, and TCP connections; nobody else makes either."""
    assert [place.grpc("friend"), place.grpc("friend", "Count")] == ["OK", "PERMISSION_DENIED"]
    assert place.grpc("other") == "PERMISSION_DENIED"
    assert [place.tcp("friend"), place.tcp("other")] == ["over", ""]


@pytest.mark.spec("7.access", "7.reasons")
def test_a_caller_without_a_sidecar_is_refused(place: Place) -> None:
    """It proves no identity, so no target can name it; its refusals are counted under their reason."""
    server = place.mesh.pod(place.inside, "server")
    before = place.mesh.total(server, REFUSALS, direction="incoming", reason="access_plaintext")
    [answer] = place.mesh.call(place.outside, "stranger", f"http://server.{place.inside}/api/items")
    assert answer["status"] == 403, answer
    assert [place.grpc("stranger"), place.tcp("stranger")] == ["PERMISSION_DENIED", ""]
    assert place.mesh.total(server, REFUSALS, direction="incoming", reason="access_plaintext") >= before + 3


@pytest.mark.spec("7.why")
def test_meshctl_why_says_what_happens(place: Place) -> None:
    """Verdict by verdict, on HTTP, gRPC and TCP, by name and through a headless Service, with and without a sidecar."""
    rule = f"access_no_rule:{place.inside}"
    cases: list[tuple[tuple[str, ...], list[str], bool]] = [
        (("friend", "server", "GET", "/x/../api/items"), [], place.statuses("friend", ALLOWED) == {200: 1}),
        (("friend", "server", "GET", "/other"), [f"{rule}/http"], place.statuses("friend", DENIED) == {200: 1}),
        (("friend", "server-grpc", "POST", "/any/Count"), [f"{rule}/grpc"], place.grpc("friend", "Count") == "OK"),
        (("other", "server-tcp"), ["access_no_target"], place.tcp("other") == "over"),
        (("stranger", "server-tcp"), ["access_plaintext"], place.tcp("stranger") == "over"),
        (("other", "peer"), [], place.statuses("other", f"http://peer:{HTTP}/") == {200: 1}),
    ]
    for arguments, reasons, came_through in cases:
        told = place.why(*arguments)
        assert told["reasons"] == reasons, (arguments, told)
        assert (told["verdict"] == "allowed") is came_through, (arguments, told)


@pytest.mark.spec("7.reasons")
def test_the_reason_in_the_access_log_leads_to_the_policy(place: Place) -> None:
    """Whoever is on call copies the reason's id from the line of the refusal."""
    assert place.statuses("friend", DENIED) == {403: 1}
    wanted = f"access_no_rule:{place.inside}/http"

    def logged() -> bool:
        lines = place.mesh.kubectl.run("-n", place.inside, "logs", "deployment/server", "-c", names.SIDECAR)
        return wanted in re.findall(r'refused="([^"]*)"', lines)

    eventually(logged, APPLIED_SECONDS, "the refusal in the access log")
    told = place.mesh.meshctl("why", "--reason", wanted)
    assert told.returncode == 0, told.stderr
    assert f"TrafficTarget {place.inside}/http" in told.stdout


@pytest.mark.spec("7.headless")
def test_a_headless_service_is_guarded_and_divided(place: Place) -> None:
    """Its pods keep being called by their own names; an open circuit and a split act on such calls all the same."""
    url = f"http://peer-0.peer:{HTTP}/"
    assert place.servers("other", url, "--times", "10") == {"peer-0": 10}
    destination = {"kind": "Service", "name": "peer"}
    breaker = policy("CircuitBreaker", "specs.smi.nginx.com/v1alpha1", "peer", destination=destination)
    breaker["spec"] |= {"errors": 2, "timeoutSeconds": 600}
    place.apply(breaker)

    def opened() -> bool:
        place.statuses("other", f"{url}?status=500", "--times", "2", "--at-once", "1")
        return place.statuses("other", f"http://peer-1.peer:{HTTP}/") == {503: 1}

    eventually(opened, APPLIED_SECONDS, "an open circuit")
    told = place.why("other", "peer")
    assert [row["state"] for row in told["circuits"]] == ["open"], told
    place.mesh.kubectl.run("-n", place.inside, "delete", "circuitbreaker", "peer")
    backends = [{"service": "peer", "weight": 1}, {"service": "spare", "weight": 1}]
    place.apply(policy("TrafficSplit", "split.smi-spec.io/v1alpha3", "peer", service="peer", backends=backends))
    # The half that goes to `spare` is refused by its pods, who do not name this caller: so the split is seen, too.
    both = {"peer-0", "status 403"}
    eventually(lambda: place.servers("other", url, "--times", "40").keys() == both, APPLIED_SECONDS, "both backends")
    place.mesh.kubectl.run("-n", place.inside, "delete", "trafficsplit", "peer")


def end_controller(place: Place) -> None:
    """Another pod comes: a process that is killed again and again would be kept waiting by the kubelet."""
    selector = f"{names.LABEL_NAME}={names.CONTROLLER}"
    place.mesh.kubectl.run(
        "-n", NAMESPACE, "delete", "pod", "-l", selector, "--grace-period=0", "--force", "--wait=false"
    )


def kill_nginx(place: Place) -> None:
    server = place.mesh.pod(place.inside, "server")
    os.kill(place.mesh.process(server, names.SIDECAR, "nginx: master process"), signal.SIGKILL)


def name_source(place: Place, source: str) -> None:
    """Make *source* the one who may call the server's HTTP port, and wait until it does."""

    def taken() -> bool:
        try:
            place.apply(target("http", HTTP, "HTTPRouteGroup", "api", source=source))
        except KubectlError as error:  # the webhook is the controller's, and may be on its way back
            raise AssertionError(str(error)) from error
        return True

    eventually(taken, READY_SECONDS, "a changed target")
    eventually(lambda: place.statuses(source, ALLOWED) == {200: 1}, READY_SECONDS, f"an answer for {source}")


@pytest.mark.spec("7.access", "6.nginx-death", "4.reconnect")
@pytest.mark.parametrize("end", [end_controller, kill_nginx])
def test_policies_hold_while_processes_die(place: Place, end: Callable[[Place], None]) -> None:
    """Not one request gets in that may not; what is changed afterwards counts."""
    with Load(place.mesh, place.inside, "friend", DENIED, LOAD_SECONDS) as wrong:
        end(place)
        report = wrong.result()
    assert report["ok"] == 0, report
    assert report["reasons"].get("status 403", 0) > 0, report
    try:
        name_source(place, "other")
        eventually(lambda: place.statuses("friend", ALLOWED) == {403: 1}, APPLIED_SECONDS, "a refusal")
    finally:
        name_source(place, "friend")
