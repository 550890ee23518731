"""The configuration files of SPIRE and NATS, against golden ones that ran on a real cluster."""

import dataclasses
import json
from pathlib import Path

import pytest

from components import nats_config, spire_config

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "config"
CONFIG = spire_config.SpireConfig(
    namespace="nginx-mesh",
    trust_domain="example.org",
    cluster_domain="cluster.local",
    ca_ttl="720h",
    ca_key_type="ec-p256",
    key_manager="disk",
    cache_reload_interval="5s",
    sync_interval="5s",
    log_level="info",
    verify_kubelet=True,
)
OTHER = dataclasses.replace(CONFIG, namespace="mesh-b", trust_domain="b.example", ca_ttl="24h", key_manager="memory")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("server.conf", spire_config.server_conf(CONFIG)),
        ("agent.conf", spire_config.agent_conf(CONFIG)),
        ("controller-manager.json", spire_config.controller_manager_config(CONFIG)),
        ("nats.conf", nats_config.nats_conf(nats_config.NatsConfig("nginx-mesh", "example.org"))),
    ],
)
def test_the_text_is_the_golden_one(name: str, text: str) -> None:
    assert text == (GOLDEN / name).read_text()


def test_every_setting_reaches_the_server() -> None:
    text = spire_config.server_conf(OTHER)
    for part in ('"b.example"', '"24h"', 'KeyManager "memory" { plugin_data {} }', '["mesh-b:spire-agent"]'):
        assert part in text
    assert "keys.json" not in text
    assert "example.org" not in text


@pytest.mark.spec("3.bundle")
def test_the_server_fills_the_bundle_and_leaves_ca_bundles_to_the_controller() -> None:
    text = spire_config.server_conf(CONFIG)
    assert 'config_map = "spire-bundle"' in text
    assert "webhook_label" not in text
    assert "api_service_label" not in text


def test_the_agent_finds_the_server_of_its_own_mesh() -> None:
    text = spire_config.agent_conf(OTHER)
    assert 'server_address = "spire-server.mesh-b.svc"' in text
    assert 'trust_domain = "b.example"' in text


def test_the_controller_managers_interval_is_a_number() -> None:
    """A text such as 10s stops it (SPIRE Controller Manager 0.6)."""
    assert json.loads(spire_config.controller_manager_config(CONFIG))["gcInterval"] == 10_000_000_000


@pytest.mark.spec("4.permissions")
def test_only_the_controller_may_publish_configuration() -> None:
    """Sidecars may acknowledge and read; the subjects are written out from the design."""
    text = nats_config.nats_conf(nats_config.NatsConfig("mesh-b", "b.example"))
    users = [json.loads(line.strip().rstrip(",")) for line in text.splitlines() if line.strip().startswith('{"user"')]
    assert users == [
        {
            "user": "spiffe://b.example/ns/mesh-b/sa/nginx-mesh-controller",
            "permissions": {"publish": [">"], "subscribe": [">"]},
        },
        {
            "user": "bus.mesh-b.internal",
            "permissions": {
                "publish": {
                    "allow": ["nginx.nsm.agent.subscription", "$JS.API.DIRECT.GET.MESH.nginx.nsm.agent.config.>"]
                },
                "subscribe": {
                    "allow": ["nginx.nsm.agent.config.>", "nginx.nsm.agent.delta.>", "nginx.nsm.ctlr.ping", "_INBOX.>"]
                },
            },
        },
    ]
    assert 'min_version: "1.3"' in text
    assert "verify_and_map: true" in text
