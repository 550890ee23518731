"""One API server and one player of workloads for the session; a stack and a namespace for each test."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.apiserver import ApiServer, api_server  # noqa: F401
from tests.plugins.stacks import Stack, namespace
from tests.plugins.workloads import Workloads

_NUMBERS = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A dozen runs of the engine take long on a busy machine; a hang is ended by the limit of each command."""
    for item in items:
        if "tests/plugins/" in str(item.path) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def workloads(api_server: ApiServer) -> Iterator[Workloads]:  # noqa: F811
    player = Workloads(api_server)
    player.start()
    yield player
    player.stop()


@pytest.fixture
def space(api_server: ApiServer) -> Iterator[str]:  # noqa: F811
    """The name of a fresh namespace."""
    with namespace(api_server, f"plugins-{next(_NUMBERS)}") as name:
        yield name


@pytest.fixture
def new_stack(api_server: ApiServer, workloads: Workloads, tmp_path: Path) -> Callable[..., Stack]:  # noqa: F811
    """Makes stacks on the API server."""
    del workloads  # it only has to be there
    return lambda name="stack", **given: Stack(tmp_path / name, api_server.kubeconfig, **given)


@pytest.fixture
def stack(new_stack: Callable[..., Stack]) -> Stack:
    return new_stack()
