"""The mesh of the end-to-end tests, and one pair of workloads for all cases; a case leaves both as it found them."""

import secrets
from collections.abc import Generator, Iterator

import pytest

from mesh.api import names
from tests.e2e import diagnose
from tests.e2e.conftest import mesh  # noqa: F401  a fixture
from tests.e2e.eventually import eventually
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest
from tests.resilience.pair import CALLER, SERVER, Pair, app

READY_SECONDS = 180.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the state of the cluster to the report of a failed case."""
    report = yield
    found = getattr(item, "funcargs", {}).get("pair")
    if report.when == "call" and report.failed and isinstance(found, Pair):
        report.sections.append(("cluster", diagnose.dump(found.mesh.kubectl, [found.namespace])))
    return report


@pytest.fixture(scope="session")
def pair_namespace(mesh: MeshUnderTest) -> Iterator[Pair]:  # noqa: F811
    """The pair itself, deployed once."""
    found = Pair(mesh, f"pair-{secrets.token_hex(3)}")
    try:
        mesh.create(found.namespace, app(SERVER, mesh.image), app(CALLER, mesh.image))
        yield found
    finally:
        mesh.kubectl.run("delete", "namespace", found.namespace, "--ignore-not-found", "--wait=false")


@pytest.fixture
def pair(pair_namespace: Pair) -> Pair:
    """The pair, seen to work before the case begins."""
    pair_namespace.assert_calls_work()
    return pair_namespace


@pytest.fixture
def absent(mesh: MeshUnderTest) -> Iterator[None]:  # noqa: F811
    """No controller, for the length of a case."""
    deployment = f"deployment/{names.CONTROLLER}"
    wanted = mesh.kubectl.get(deployment, "-n", NAMESPACE)["spec"]["replicas"]
    mesh.kubectl.run("-n", NAMESPACE, "scale", deployment, "--replicas=0")
    selector = f"{names.LABEL_NAME}={names.CONTROLLER}"
    try:
        eventually(
            lambda: not mesh.kubectl.get("pods", "-n", NAMESPACE, "-l", selector)["items"], 60, "no controller's pod"
        )
        yield
    finally:
        mesh.kubectl.run("-n", NAMESPACE, "scale", deployment, f"--replicas={wanted}")
        mesh.kubectl.rollout(NAMESPACE, deployment, READY_SECONDS)
