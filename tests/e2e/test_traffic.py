"""HTTP as it passes through two sidecars: sizes, streams, closings, headless Services (contract 6)."""

import pytest

from tests.e2e.apps import App
from tests.e2e.mesh_under_test import MeshUnderTest, address, bodies

MEBIBYTE = 1024 * 1024


@pytest.mark.spec("6.http")
def test_bodies_streams_and_closings_pass(mesh: MeshUnderTest, pair_of_apps: str) -> None:
    large = 20 * MEBIBYTE
    answers = mesh.call(
        *(pair_of_apps, "caller", f"http://web/?size={large}", f"http://web/?size={MEBIBYTE}&chunks=64&interval_ms=5"),
        *("http://web/?close=1", "http://web/?status=418", "http://web/?delay_ms=2000", "http://web/?reset=1"),
    )
    assert [answer["status"] for answer in answers] == [200, 200, 200, 418, 200, 502]
    assert [answer["body_bytes"] for answer in answers[:2]] == [large, MEBIBYTE]


@pytest.mark.spec("6.http")
def test_request_bodies_up_to_the_limit_pass(mesh: MeshUnderTest, pair_of_apps: str) -> None:
    """1m is the default of clientMaxBodySize: that much arrives unharmed, more is refused with 413."""
    [body] = bodies(mesh.call(pair_of_apps, "caller", "http://web/", "--method", "POST", "--body-bytes", str(MEBIBYTE)))
    assert body["body_bytes"] == MEBIBYTE
    [answer] = mesh.call(pair_of_apps, "caller", "http://web/", "--method", "POST", "--body-bytes", str(MEBIBYTE + 1))
    assert answer["status"] == 413


@pytest.mark.spec("6.http")
def test_a_pod_called_by_its_address_is_spoken_to_by_mtls(mesh: MeshUnderTest, pair_of_apps: str) -> None:
    mesh.wait_synced()
    url = f"http://{address(mesh.pod(pair_of_apps, 'web'))}:8080/"
    [body] = bodies(mesh.call(pair_of_apps, "caller", url))
    assert body["headers"]["X-Mesh-Peer-Identity"].endswith(f"/ns/{pair_of_apps}/sa/caller")


@pytest.mark.spec("6.counters")
def test_requests_are_counted_under_nsms_names(mesh: MeshUnderTest, namespace: str) -> None:
    mesh.create(namespace, App("web", mesh.image, (8080,), {"web": (80, 8080)}), App("caller", mesh.image, (8080,)))
    codes = {"200": 7, "404": 5, "503": 3}
    for code, times in codes.items():
        mesh.call(namespace, "caller", f"http://web/?status={code}", "--times", str(times))
    caller, web = mesh.pod(namespace, "caller"), mesh.pod(namespace, "web")
    towards = {"upstream": f"{namespace}/web:80", "dst_service": "web", "dst_namespace": namespace}
    for klass, count in (("2xx", 7), ("4xx", 5), ("5xx", 3)):
        assert mesh.total(caller, "nginxplus_upstream_server_responses", code=klass, **towards) == count
    assert mesh.total(caller, "nginxplus_upstream_server_requests", **towards) == sum(codes.values())
    assert mesh.total(web, "nginx_mesh_handshakes_total", direction="incoming", result="ok") >= 1
    assert mesh.total(web, "nginxplus_http_requests_total") >= sum(codes.values())
