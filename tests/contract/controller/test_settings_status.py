"""What the MeshConfig's status says of the authority's settings, with the objects as the stack makes them (contract 6.in-force)."""

from typing import Any

import pytest

from components import manifest, spire_config
from components.spire_config import SpireConfig
from mesh.api import names
from mesh.controller.settings_status import CONDITION, SERVER_CONF
from tests.contract.controller.cluster import Cluster
from tests.fakes.eventually import eventually

WITHIN = 60.0


def in_force(cluster: Cluster) -> dict[str, Any]:
    status = cluster.api.request("GET", cluster.mesh_config_path).get("status", {})
    return next((row for row in status.get("conditions", []) if row["type"] == CONDITION), {})


@pytest.mark.spec("6.in-force")
async def test_an_authority_setting_that_the_server_does_not_have_is_told(cluster: Cluster) -> None:
    """The server's ConfigMap has a digest in its name, and another one for the agents is no server's."""
    config = SpireConfig(
        cluster.namespace, "example.org", "cluster.local", "720h", "ec-p256", "disk", "5s", "5s", "info", True
    )
    texts = {names.SPIRE_SERVER: spire_config.server_conf(config), names.SPIRE_AGENT: spire_config.agent_conf(config)}
    for part, text in texts.items():
        made = manifest.config_map(part, cluster.namespace, part, {SERVER_CONF: text})
        cluster.api.request("POST", f"/api/v1/namespaces/{cluster.namespace}/configmaps", made)
    cluster.api.merge(cluster.mesh_config_path, {"spec": {"mtls": {"caTTL": "48h"}}})
    async with cluster.controller():
        await eventually(lambda: in_force(cluster).get("status") == "False", "the condition", WITHIN)
        assert "mtls.caTTL 48h waits: the SPIRE server runs with 720h" in in_force(cluster)["message"]
