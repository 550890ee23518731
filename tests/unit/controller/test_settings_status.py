"""What is said of settings that are not in force (contract 6.in-force)."""

import pytest

from components import spire_config
from components.spire_config import SpireConfig
from mesh.api.mesh_config import CaKeyType, Exporters, MeshConfigSpec, Mtls, Otlp, Telemetry
from mesh.api.mtls import MtlsMode
from mesh.controller.settings_status import judge
from mesh.model.mode_change import ModeChange, Stance, settled

CONF = spire_config.server_conf(
    SpireConfig("nginx-mesh", "example.org", "cluster.local", "720h", "ec-p256", "disk", "5s", "5s", "info", True)
)
PERMISSIVE = settled(MtlsMode.PERMISSIVE)
DEFAULT = MeshConfigSpec(mesh_config_class_name="x")


@pytest.mark.spec("6.in-force")
@pytest.mark.parametrize("conf", [CONF, "", None])
def test_with_nothing_special_all_settings_are_in_force(conf: str | None) -> None:
    """Also where the SPIRE server's configuration cannot be seen."""
    assert judge(DEFAULT, conf, PERMISSIVE) == (True, "AllInForce", "every setting is in force")


@pytest.mark.spec("6.in-force")
@pytest.mark.parametrize(
    ("mtls", "text"),
    [
        (Mtls(ca_ttl="24h"), "mtls.caTTL 24h waits: the SPIRE server runs with 720h"),
        (Mtls(ca_key_type=CaKeyType.RSA_4096), "mtls.caKeyType rsa-4096 waits: the SPIRE server runs with ec-p256"),
    ],
)
def test_the_authoritys_settings_wait_for_the_server(mtls: Mtls, text: str) -> None:
    """Both values and the remedy are named."""
    holds, reason, message = judge(MeshConfigSpec(mesh_config_class_name="x", mtls=mtls), CONF, PERMISSIVE)
    assert (holds, reason) == (False, "SomeNotInForce")
    assert text in message
    assert "pulumi up" in message


@pytest.mark.spec("6.in-force", "3.mode-changes")
def test_a_mode_that_is_on_its_way_is_not_in_force() -> None:
    """Where to read how far it is."""
    moving = ModeChange(MtlsMode.OFF, MtlsMode.STRICT, Stance.ACCEPTING)
    holds, _, message = judge(DEFAULT, CONF, moving)
    assert not holds
    assert "mtls.mode strict is reached in steps; condition ModeInForce" in message


@pytest.mark.spec("6.in-force")
def test_settings_that_nothing_reads_yet_say_so() -> None:
    """Who sets them learns that they do nothing."""
    telemetry = Telemetry(exporters=Exporters(otlp=Otlp(host="collector")))
    spec = MeshConfigSpec(
        mesh_config_class_name="x", telemetry=telemetry, prometheus_address="prometheus.monitoring:9090"
    )
    holds, _, message = judge(spec, CONF, PERMISSIVE)
    assert not holds
    assert "telemetry has no effect" in message
    assert "prometheusAddress has no effect" in message
