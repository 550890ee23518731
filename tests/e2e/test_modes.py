"""off, permissive, strict: who may speak plaintext to whom, changed while pods run (contract 3.modes)."""

from collections.abc import Iterator

import pytest

from mesh.api import names
from tests.e2e.apps import App
from tests.e2e.eventually import eventually
from tests.e2e.mesh_under_test import MeshUnderTest, address, bodies

STRICT = {names.ANNOTATION_MTLS_MODE: "strict"}
REFUSALS = "nginx_mesh_refusals_total"


@pytest.fixture
def restored_mode(mesh: MeshUnderTest) -> Iterator[None]:
    """Puts the global mode back."""
    mode = mesh.mesh_config().get("mtls", {}).get("mode")
    yield
    mesh.set_mesh_config({"mtls": {"mode": mode}})
    mesh.wait_synced()


@pytest.mark.spec("3.modes")
def test_strict_refuses_plaintext_and_counts_it(mesh: MeshUnderTest, namespace: str, outside: str) -> None:
    """A call from a pod without a sidecar is refused at the sidecar: the application never sees it, a counter does."""
    mesh.create(
        namespace,
        App("strict", mesh.image, (8080,), {"strict": (80, 8080)}, annotations=STRICT),
        App("friend", mesh.image, (8080,), {"friend": (80, 8080)}),
    )
    mesh.create(outside, App("stranger", mesh.image, (8080,), {"stranger": (80, 8080)}), injected=False)
    pod = mesh.pod(namespace, "strict")
    before = mesh.total(pod, REFUSALS, direction="incoming")
    answers = mesh.call(outside, "stranger", f"http://strict.{namespace}/", f"http://{address(pod)}:8080/")
    assert all(answer["status"] in {0, 400} for answer in answers), answers
    assert mesh.total(pod, REFUSALS, direction="incoming") >= before + 2
    [body] = bodies(mesh.call(namespace, "friend", "http://strict/"))
    assert body["server"] == "strict"


@pytest.mark.spec("3.modes")
def test_permissive_takes_both(mesh: MeshUnderTest, namespace: str, outside: str) -> None:
    """Plaintext comes in and goes out where the other side has no sidecar; between injected pods it is mTLS."""
    mesh.create(namespace, App("open", mesh.image, (8080,), {"open": (80, 8080)}))
    mesh.create(outside, App("stranger", mesh.image, (8080,), {"stranger": (80, 8080)}), injected=False)
    [incoming] = bodies(mesh.call(outside, "stranger", f"http://open.{namespace}/"))
    assert "X-Mesh-Peer-Identity" not in incoming["headers"]
    [outgoing] = bodies(mesh.call(namespace, "open", f"http://stranger.{outside}/"))
    assert outgoing["server"] == "stranger"


@pytest.mark.spec("3.modes")
@pytest.mark.usefixtures("restored_mode")
def test_a_mode_change_reaches_running_pods(mesh: MeshUnderTest, namespace: str, outside: str) -> None:
    """permissive -> strict -> off, by editing the MeshConfig: no pod restarts, and each mode does what it says."""
    mesh.create(
        namespace,
        App("web", mesh.image, (8080,), {"web": (80, 8080)}),
        App("caller", mesh.image, (8080,), {"caller": (80, 8080)}),
    )
    mesh.create(outside, App("stranger", mesh.image, (8080,), {"stranger": (80, 8080)}), injected=False)
    born = {pod["metadata"]["name"]: restarts(pod) for pod in mesh.pods(namespace, "web")}

    def from_outside() -> int:
        return int(mesh.call(outside, "stranger", f"http://web.{namespace}/")[0]["status"])

    def peer() -> str:
        [body] = bodies(mesh.call(namespace, "caller", "http://web/"))
        return str(body["headers"].get("X-Mesh-Peer-Identity", ""))

    mesh.set_mesh_config({"mtls": {"mode": "strict"}})
    eventually(lambda: from_outside() in {0, 400}, 15, "strict refusing plaintext")
    assert peer().endswith("/sa/caller")
    mesh.set_mesh_config({"mtls": {"mode": "off"}})
    eventually(lambda: from_outside() == 200 and peer() == "", 15, "off speaking plaintext")
    mesh.set_mesh_config({"mtls": {"mode": "permissive"}})
    eventually(lambda: from_outside() == 200 and peer().endswith("/sa/caller"), 15, "permissive speaking mTLS again")
    assert {pod["metadata"]["name"]: restarts(pod) for pod in mesh.pods(namespace, "web")} == born


def restarts(pod: dict[str, object]) -> list[int]:
    status = pod["status"]
    assert isinstance(status, dict)
    return [row["restartCount"] for row in [*status["initContainerStatuses"], *status["containerStatuses"]]]
