"""MeshConfig is read with NSM's defaults and limits, and every fault is told at once."""

import pytest

from mesh.api import mesh_config
from mesh.api.errors import InvalidInputError
from mesh.api.mtls import MtlsMode


def manifest(**spec: object) -> dict[str, object]:
    return {
        "apiVersion": "nsm.nginx.com/v1alpha2",
        "kind": "MeshConfig",
        "metadata": {"name": "nginx-mesh-config", "namespace": "mesh", "generation": 7},
        "spec": {"meshConfigClassName": "mesh-meshconfig-class", **spec},
    }


@pytest.mark.spec("6.settings")
def test_what_is_left_out_has_nsms_default() -> None:
    found = mesh_config.parse_mesh_config(manifest())
    assert (found.name, found.namespace, found.generation) == ("nginx-mesh-config", "mesh", 7)
    spec = found.spec
    assert (spec.access_control_mode, spec.client_max_body_size, spec.prometheus_address) == ("allow", "1m", "")
    assert (spec.nginx_error_log_level, spec.nginx_log_format, spec.nginx_lb_method) == (
        "warn",
        "default",
        "least_time",
    )
    assert (spec.mtls.mode, spec.mtls.svid_ttl, spec.mtls.ca_ttl) == ("permissive", "1h", "720h")
    assert (spec.mtls.ca_key_type, spec.telemetry.sampler_ratio, spec.telemetry.exporters) == ("ec-p256", 0.01, None)


@pytest.mark.spec("6.settings")
def test_every_setting_is_read() -> None:
    spec = mesh_config.parse_mesh_config(
        manifest(
            accessControlMode="deny",
            clientMaxBodySize="64k",
            mtls={"mode": "strict", "svidTTL": "30m", "caTTL": "24h", "caKeyType": "rsa-4096"},
            nginxErrorLogLevel="debug",
            nginxLBMethod="random two least_time=last_byte",
            nginxLogFormat="json",
            prometheusAddress="prometheus.monitoring:9090",
            telemetry={"samplerRatio": 1, "exporters": {"otlp": {"host": "collector.example", "port": 4318}}},
        )
    ).spec
    assert spec.mtls.mode is MtlsMode.STRICT
    assert spec.nginx_lb_method is mesh_config.LbMethod.RANDOM_TWO_LEAST_TIME_LAST_BYTE
    assert spec.telemetry.exporters is not None
    assert (spec.telemetry.exporters.otlp.host, spec.telemetry.exporters.otlp.port) == ("collector.example", 4318)


@pytest.mark.spec("6.settings")
def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        mesh_config.parse_mesh_config(
            manifest(
                meshConfigClassName="",
                accessControlMode="maybe",
                clientMaxBodySize="big",
                mtls={"mode": "on", "svidTTL": "0m", "caTTL": "23h", "caKeyType": "dsa"},
                telemetry={"samplerRatio": 1.5, "exporters": {}},
            )
        )
    assert [problem.place for problem in caught.value.problems] == [
        "spec.meshConfigClassName",
        "spec.accessControlMode",
        "spec.clientMaxBodySize",
        "spec.mtls.mode",
        "spec.mtls.caTTL",
        "spec.mtls.svidTTL",
        "spec.mtls.caKeyType",
        "spec.telemetry.samplerRatio",
        "spec.telemetry.exporters.otlp",
    ]


@pytest.mark.spec("6.settings")
@pytest.mark.parametrize(
    ("svid_ttl", "ca_ttl", "accepted"), [("24h", "24h", True), ("25h", "24h", False), ("1441m", "24h", False)]
)
def test_a_certificate_does_not_outlive_its_authority(svid_ttl: str, ca_ttl: str, accepted: bool) -> None:
    document = manifest(mtls={"svidTTL": svid_ttl, "caTTL": ca_ttl})
    if accepted:
        assert mesh_config.parse_mesh_config(document).spec.mtls.svid_ttl == svid_ttl
        return
    with pytest.raises(InvalidInputError, match=r"spec\.mtls\.svidTTL"):
        mesh_config.parse_mesh_config(document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"apiVersion": "nsm.nginx.com/v1", "kind": "MeshConfig", "spec": {}},
        {"apiVersion": "nsm.nginx.com/v1alpha2"},
    ],
)
def test_another_kind_or_version_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="apiVersion and kind"):
        mesh_config.parse_mesh_config(document)


def test_a_mode_is_weaker_than_what_comes_after_it() -> None:
    assert [MtlsMode.PERMISSIVE.is_weaker_than(other) for other in MtlsMode] == [False, False, True]
