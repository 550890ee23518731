"""The registry's credentials beside injected pods, with a real API server (contract 10.registry)."""

import asyncio
import base64
from typing import Any

import pytest

from mesh.api import names
from tests.contract.controller import cluster as clusters
from tests.contract.controller.cluster import Cluster
from tests.fakes.eventually import eventually

WITHIN = 60.0


@pytest.mark.spec("10.registry")
async def test_credentials_come_where_an_injected_pod_is(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The type and content of the mesh's own Secret; nowhere else."""
    whole = clusters.installation(cluster.namespace)
    whole["registry"]["registryKeyName"] = names.REGISTRY_SECRET
    monkeypatch.setattr(clusters, "installation", lambda _: whole)
    data = {".dockerconfigjson": base64.b64encode(b'{"auths":{}}').decode()}
    secret = {"metadata": {"name": names.REGISTRY_SECRET}, "type": "kubernetes.io/dockerconfigjson", "data": data}
    await asyncio.to_thread(cluster.api.request, "POST", f"/api/v1/namespaces/{cluster.namespace}/secrets", secret)

    def copies(namespace: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = cluster.api.request("GET", f"/api/v1/namespaces/{namespace}/secrets")["items"]
        return found

    async with cluster.controller():
        cluster.make_pod("web-0", "10.1.0.1")
        await eventually(lambda: copies(cluster.shop), "the copy", WITHIN)
        [copy] = copies(cluster.shop)
        assert (copy["type"], copy["data"]) == (secret["type"], data)
        assert copy["metadata"]["labels"][names.LABEL_PART_OF] == names.PART_OF
        assert copies("default") == []
