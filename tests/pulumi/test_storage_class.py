"""Persistent storage is decided by the cluster that the stack names (contract 2.spire-server)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pulumi.runtime import config as pulumi_config

from mesh.api.errors import InvalidInputError
from stacks import cluster, loading
from stacks.settings import PersistentStorage, Settings
from tests.apiserver import ApiServer

pytestmark = [pytest.mark.tools, pytest.mark.timeout(300)]

_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
_DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}


@pytest.fixture
def named(api_server: ApiServer) -> Iterator[ApiServer]:
    """The API server as the stack's cluster."""
    before = pulumi_config.CONFIG.get()
    pulumi_config.set_all_config({"kubernetes:kubeconfig": str(api_server.kubeconfig)})
    yield api_server
    pulumi_config.set_all_config(before)


def settings(storage: str) -> Settings:
    given = {"registry": '{"server": "r.example"}', "mtls": f'{{"persistentStorage": "{storage}"}}'}
    return loading.parse(given)


@pytest.mark.spec("2.spire-server")
def test_auto_follows_the_default_class_and_on_needs_one(named: ApiServer) -> None:
    assert cluster.default_storage_class() is None
    assert loading.decide_storage(settings("auto")).mtls.persistent_storage is PersistentStorage.OFF
    with pytest.raises(InvalidInputError, match=r"mtls\.persistentStorage"):
        loading.decide_storage(settings("on"))
    body = {"metadata": {"name": "plain"}, "provisioner": "example.org/none"}
    named.request("POST", _CLASSES, body)
    assert cluster.default_storage_class() is None
    named.request("POST", _CLASSES, body | {"metadata": {"name": "usual", "annotations": _DEFAULT}})
    assert cluster.default_storage_class() == "usual"
    for wanted in ("auto", "on"):
        assert loading.decide_storage(settings(wanted)).mtls.persistent_storage is PersistentStorage.ON
    for name in ("plain", "usual"):
        named.request("DELETE", f"{_CLASSES}/{name}")


def test_the_content_of_a_kubeconfig_serves_as_well_as_its_path(named: ApiServer) -> None:
    pulumi_config.set_all_config({"kubernetes:kubeconfig": named.kubeconfig.read_text()})
    assert cluster.default_storage_class() is None


def test_a_cluster_that_does_not_answer_is_told_with_the_remedy(tmp_path: Path, named: ApiServer) -> None:
    away = tmp_path / "kubeconfig"
    away.write_text(named.kubeconfig.read_text().replace(f":{named.port}", ":1"))
    pulumi_config.set_all_config({"kubernetes:kubeconfig": str(away)})
    for path in (away, tmp_path / "nowhere"):
        pulumi_config.set_all_config({"kubernetes:kubeconfig": str(path)})
        with pytest.raises(InvalidInputError, match="KUBECONFIG"):
            cluster.default_storage_class()
