"""The cluster lives without the controller, and the controller comes back into it (contract 5.webhook)."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from mesh.api import names
from samples.kubectl import KubectlError
from tests.e2e.apps import App, namespace_object
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest
from tests.resilience.pair import PORT, Pair

pytestmark = pytest.mark.timeout(420)

READY_SECONDS = 180.0
NAME = "resilience-visitor"


@pytest.fixture
def plain(mesh: MeshUnderTest) -> Iterator[str]:
    """A namespace that nobody labelled."""
    name = f"plain-{secrets.token_hex(3)}"
    mesh.kubectl.apply(namespace_object(name, injected=False))
    yield name
    mesh.kubectl.run("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.mark.spec("5.webhook", "5.away")
def test_only_injected_pods_wait_for_the_controller(pair: Pair, plain: str, absent: None) -> None:
    """Pods elsewhere are created, the control plane's own above all; injected ones are refused, not let in naked."""
    assert absent is None
    for namespace in (plain, "kube-system", NAMESPACE):
        pod = _pod(pair.mesh.image, namespace)
        pair.mesh.kubectl.apply(pod)
        try:
            found = pair.mesh.kubectl.get("pod", NAME, "-n", namespace)
            assert [row["name"] for row in found["spec"]["containers"]] == ["app"]
            assert not found["spec"].get("initContainers")
        finally:
            pair.mesh.kubectl.run("-n", namespace, "delete", "pod", NAME, "--wait=false", "--grace-period=0")
    with pytest.raises(KubectlError, match="failed calling webhook"):
        pair.mesh.kubectl.apply(_pod(pair.mesh.image, pair.namespace))
    pair.assert_calls_work()


@pytest.mark.spec("5.webhook")
def test_the_controller_comes_back(pair: Pair, request: pytest.FixtureRequest) -> None:
    """After its absence new workloads are injected and served, and every sidecar is up to date."""
    request.getfixturevalue("absent")
    pair.mesh.kubectl.run("-n", NAMESPACE, "scale", f"deployment/{names.CONTROLLER}", "--replicas=1")
    pair.mesh.kubectl.rollout(NAMESPACE, f"deployment/{names.CONTROLLER}", READY_SECONDS)
    pair.assert_newcomer_works("after-absence", READY_SECONDS)
    pair.mesh.wait_synced()


def _pod(image: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": App(NAME, image, ports=(PORT,)).pod_spec("default"),
    }
