"""What is on the wire between two pods, and who a sidecar says it is (contract 3.wire, 3.identity)."""

import secrets
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from tests.e2e.apps import App
from tests.e2e.capture import TLS_1_3, Capture, negotiated_version, records
from tests.e2e.mesh_under_test import MeshUnderTest, address, bodies

CONNECTIONS = 60


@pytest.mark.spec("3.wire")
def test_only_tls_1_3_is_seen_between_two_pods(mesh: MeshUnderTest, namespace: str, tmp_path: Path) -> None:
    """At least 50 connections each way, a canary in requests and answers: nothing but TLS 1.3, and no canary."""
    apps = [App(name, mesh.image, (8080,), {name: (80, 8080)}) for name in ("left", "right")]
    mesh.create(namespace, *apps)
    hosts = [address(mesh.pod(namespace, app.name)) for app in apps]
    canary = secrets.token_hex(16)
    with Capture(mesh, tmp_path / "wire.pcap", *hosts) as capture:
        for caller, callee in (("left", "right"), ("right", "left")):
            # All wait at once, so that no connection can serve two of them.
            url = f"http://{callee}/?echo=1&delay_ms=1500&canary={canary}"
            answers = mesh.call(
                *(namespace, caller, url, "--times", str(CONNECTIONS), "--at-once", str(CONNECTIONS)),
                *("--method", "POST", "--body", canary, "--header", f"X-Canary:{canary}"),
            )
            assert [answer["status"] for answer in answers] == [200] * CONNECTIONS
            assert {answer["text"] for answer in answers} == {canary}
    assert canary.encode() not in (tmp_path / "wire.pcap").read_bytes()
    streams = capture.streams()
    for flow, stream in streams.items():
        assert records(stream), flow
    for caller, callee in ((hosts[0], hosts[1]), (hosts[1], hosts[0])):
        answers_on_wire = [
            stream
            for (source, port, destination, _), stream in streams.items()
            if (source, port, destination) == (callee, 8080, caller)
        ]
        assert len(answers_on_wire) >= 50
        assert {negotiated_version(stream) for stream in answers_on_wire} == {TLS_1_3}


@pytest.mark.spec("3.identity")
def test_the_certificate_names_the_service_account(mesh: MeshUnderTest, namespace: str) -> None:
    """The certificate that a sidecar shows has one URI: trust domain, namespace, service account."""
    mesh.create(namespace, App("web", mesh.image, (8080,), {"shop-window": (80, 8080)}, service_account="keeper"))
    pod = mesh.pod(namespace, "web")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with socket.create_connection((address(pod), 8080), timeout=5) as plain, context.wrap_socket(plain) as tls:
        shown = tls.getpeercert(binary_form=True)
    assert shown is not None
    names = x509.load_der_x509_certificate(shown).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"spiffe://example.org/ns/{namespace}/sa/keeper"
    ]
    assert {pod["metadata"]["name"], f"keeper.{namespace}.svc"} <= set(names.get_values_for_type(x509.DNSName))


@pytest.mark.spec("3.identity")
def test_the_application_learns_its_callers_identity(mesh: MeshUnderTest, pair_of_apps: str) -> None:
    """The header that names the peer comes from the verified certificate; one that the caller writes is not believed."""
    [body] = bodies(
        mesh.call(
            pair_of_apps, "caller", "http://web/", "--header", "X-Mesh-Peer-Identity:spiffe://example.org/ns/x/sa/y"
        )
    )
    assert body["headers"]["X-Mesh-Peer-Identity"] == f"spiffe://example.org/ns/{pair_of_apps}/sa/caller"
