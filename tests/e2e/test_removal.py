"""`pulumi destroy` under traffic: transparent first, then nothing of ours is left but what is retained on purpose.

Runs after every other case: it takes the mesh away. The cases follow one another: what the first leaves, the next takes up.
"""

import json
import secrets
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from mesh.api import kinds, names
from samples.kubectl import KubectlError
from tests.e2e.apps import App, namespace_object
from tests.e2e.eventually import eventually
from tests.e2e.load import Load, assert_no_failure
from tests.e2e.mesh_under_test import NAMESPACE, READY_SECONDS, MeshUnderTest, bodies, restart_count
from tests.e2e.program import TIMEOUT_SECONDS, Program
from tests.e2e.removal_watch import Watch

SELECTOR = f"{names.LABEL_PART_OF}={names.PART_OF}"
STRICT = {names.ANNOTATION_MTLS_MODE: "strict"}
RATE = 100.0
DESTROY = ("destroy", "--yes", "--skip-preview")


@pytest.fixture(scope="module")
def shop(mesh: MeshUnderTest) -> Iterator[str]:
    """Two strict applications that call each other, from before the removal to after the next installation."""
    web = App("web", mesh.image, (8080,), {"web": (80, 8080)}, replicas=2, annotations=STRICT)
    caller = App("caller", mesh.image, (8080,), {"caller": (80, 8080)}, annotations=STRICT)
    name = f"e2e-removal-{secrets.token_hex(3)}"
    mesh.create(name, web, caller)
    yield name
    mesh.kubectl.run("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.mark.spec("10.removal")
@pytest.mark.spec("10.destroy")
def test_destroy_loses_no_request_and_leaves_only_what_it_says(mesh: MeshUnderTest, shop: str) -> None:
    """Under 100 requests a second between strict pods; an interrupted destroy is finished by the next."""
    program = Program(mesh.cluster)
    retained = {f"customresourcedefinition/{kind.plural}.{kind.group}" for kind in kinds.ALL_KINDS}
    said = program.succeed("stack", "output", "--json")
    assert all(name in said for name in retained)
    mesh.wait_synced()
    with Load(mesh, shop, "caller", "http://web/", 2 * TIMEOUT_SECONDS, RATE) as load:
        with Watch(mesh) as watch:
            interrupt(mesh, program)
            program.succeed(*DESTROY)
        eventually(lambda: not exists(mesh, f"namespace/{NAMESPACE}"), 120, "the end of the namespace")
        report = load.stop()
    assert_no_failure(report)
    assert report["sent"] > RATE
    assert any(status.get("transparent") for status in watch.statuses()), watch.statuses()
    assert left(mesh) == retained


def interrupt(mesh: MeshUnderTest, program: Program) -> None:
    """Begin to destroy, and end that with ctrl-C as soon as the MeshConfig is on its way."""
    process = program.start(*DESTROY)
    try:
        eventually(lambda: is_going(mesh) or process.poll() is not None, TIMEOUT_SECONDS, "the MeshConfig's deletion")
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def is_going(mesh: MeshUnderTest) -> bool:
    where = ("-n", NAMESPACE, "get", "meshconfig", names.MESH_CONFIG_NAME, "--ignore-not-found")
    return not mesh.kubectl.run(*where, "-o", "name") or bool(
        mesh.kubectl.run(*where, "-o", "jsonpath={.metadata.deletionTimestamp}")
    )


@pytest.mark.spec("10.afterlife")
def test_pods_outlive_the_mesh(mesh: MeshUnderTest, shop: str) -> None:
    """They call one another, also after agent and NGINX have died; a new pod has no sidecar and takes part."""
    bodies(mesh.call(shop, "caller", "http://web/"))
    pods = [*mesh.pods(shop, "web"), *mesh.pods(shop, "caller")]
    for pod in pods:
        for command in ("nginx: master", "mesh.sidecar"):
            kill(mesh.process(pod, names.SIDECAR, command))
    for pod in pods:
        eventually(partial(is_transparent, mesh, pod), 30, pod["metadata"]["name"])
    eventually(lambda: bodies(mesh.call(shop, "caller", "http://web/")), 30, "an answer")
    assert [restart_count(pod, names.SIDECAR) for pod in pods] == [0] * len(pods)
    mesh.deploy(shop, App("late", mesh.image, (8080,), {"late": (80, 8080)}))
    assert not sidecars(mesh, shop, "late")
    assert bodies(mesh.call(shop, "late", "http://web/"))[0]["server"] == "web"
    assert bodies(mesh.call(shop, "caller", "http://late/"))[0]["server"] == "late"


def is_transparent(mesh: MeshUnderTest, pod: dict[str, Any]) -> bool:
    try:
        return bool(mesh.sidecar_status(pod)["transparent"])
    except KubectlError:  # its NGINX is on its way
        return False


def kill(process: int) -> None:
    subprocess.run(["kill", "-KILL", str(process)], check=True, timeout=10)


def sidecars(mesh: MeshUnderTest, namespace: str, app: str) -> list[str]:
    """Names of the containers of *app*'s pods that are sidecars of ours."""
    found = [pod["spec"] for pod in mesh.pods(namespace, app)]
    containers = [item for spec in found for item in [*spec.get("initContainers", []), *spec["containers"]]]
    return [item["name"] for item in containers if item["name"] == names.SIDECAR]


@pytest.mark.spec("10.removal")
def test_a_new_mesh_takes_the_workloads_that_are_rolled_out_again(mesh: MeshUnderTest, shop: str) -> None:
    """`pulumi up` after the destroy: pods that are made anew are in the mesh."""
    program = Program(mesh.cluster)
    program.up()
    mesh.kubectl.apply(namespace_object(shop, injected=True))
    for app in ("web", "caller", "late"):
        mesh.kubectl.run("-n", shop, "rollout", "restart", f"deployment/{app}")
    for app in ("web", "caller", "late"):
        mesh.kubectl.rollout(shop, f"deployment/{app}", READY_SECONDS)
        assert sidecars(mesh, shop, app)
    mesh.wait_synced()
    [body] = bodies(mesh.call(shop, "caller", "http://web/"))
    assert body["headers"]["X-Mesh-Peer-Identity"] == f"spiffe://example.org/ns/{shop}/sa/caller"
    program.succeed(*DESTROY)


def exists(mesh: MeshUnderTest, reference: str) -> bool:
    return bool(mesh.kubectl.run("get", reference, "--ignore-not-found", "-o", "name"))


def left(mesh: MeshUnderTest) -> set[str]:
    """Every object of every kind that carries the mesh's label."""
    resources = mesh.kubectl.run("api-resources", "--verbs=list", "-o", "name").split()
    listed = mesh.kubectl.run("get", ",".join(resources), "-A", "-l", SELECTOR, "-o", "json", timeout_seconds=120)

    return {f"{item['kind'].lower()}/{item['metadata']['name']}" for item in json.loads(listed)["items"]}
