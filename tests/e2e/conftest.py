"""One mesh for all cases, brought up by `make test` through the code path of `make up`; a namespace for each case."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from embedded.tools import paths
from images.build import build
from samples.kubectl import Kubectl
from tests.e2e import diagnose
from tests.e2e.apps import App
from tests.e2e.mesh_under_test import NAMESPACE, MeshUnderTest

CLUSTER = os.environ.get("MESH_E2E_CLUSTER", "test")
LAST = "test_removal"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the case that takes the mesh away at the very end."""
    items.sort(key=lambda item: item.path.parent == Path(__file__).parent and item.path.stem == LAST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the state of the cluster to the report of a failed case, before its fixtures are taken down."""
    report = yield
    if report.when == "call" and report.failed:
        fixtures = getattr(item, "funcargs", {})
        mesh: MeshUnderTest | None = fixtures.get("mesh")
        if mesh is not None:
            namespaces = [value for name, value in fixtures.items() if name in {"namespace", "outside", "pair_of_apps"}]
            report.sections.append(("cluster", diagnose.dump(mesh.kubectl, namespaces)))
    return report


@pytest.fixture(scope="session")
def mesh() -> MeshUnderTest:
    """The running mesh. Fails, with the command that makes one, when there is none."""
    kubeconfig = Path(os.environ.get("KUBECONFIG") or paths.state_root(CLUSTER) / "kubeconfig")
    remedy = f"bring it up with: make up CLUSTER={CLUSTER}"
    assert kubeconfig.exists(), f"no cluster {CLUSTER}; {remedy}"
    kubectl = Kubectl(kubeconfig)
    assert kubectl.get("pods", "-n", NAMESPACE)["items"], f"no mesh in cluster {CLUSTER}; {remedy}"
    [sample] = build(("mesh-sample",))
    load = [sys.executable, "-m", "embedded.cluster", "load-image", CLUSTER, str(sample.archive)]
    subprocess.run(load, cwd=paths.ROOT, check=True, timeout=120)
    return MeshUnderTest(kubectl, CLUSTER, sample.reference)


@pytest.fixture(scope="session")
def pair_of_apps(mesh: MeshUnderTest) -> Iterator[str]:
    """A namespace with `web` (Service web, port 80) and `caller`, for cases that change nothing in it."""
    name = f"e2e-{secrets.token_hex(4)}"
    mesh.create(name, App("web", mesh.image, (8080,), {"web": (80, 8080)}), App("caller", mesh.image, (8080,)))
    yield name
    mesh.kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def new_namespace(mesh: MeshUnderTest) -> Iterator[Callable[[], str]]:
    """Names for namespaces of this case; those that were created are deleted in the end."""
    made: list[str] = []

    def make() -> str:
        made.append(f"e2e-{secrets.token_hex(4)}")
        return made[-1]

    yield make
    for name in made:
        mesh.kubectl.run("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.fixture
def namespace(new_namespace: Callable[[], str]) -> str:
    """A namespace for injected applications."""
    return new_namespace()


@pytest.fixture
def outside(new_namespace: Callable[[], str]) -> str:
    """A namespace for applications without a sidecar."""
    return new_namespace()
