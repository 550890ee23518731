"""The document meshconfig.json (contract 6.meshconfig)."""

from typing import Any

import pytest

from mesh.admission import settings
from mesh.api.errors import InvalidInputError
from mesh.api.mesh_config import Exporters, MeshConfigSpec, Mtls, Otlp, Telemetry
from mesh.api.mtls import MtlsMode

INSTALLATION: dict[str, Any] = {
    "namespace": "nginx-mesh",
    "environment": "kubernetes",
    "enableUDP": False,
    "mtls": {"trustDomain": "corp.example"},
    "registry": {"imagePullPolicy": "Never", "sidecarImage": "s:1", "sidecarInitImage": "i:1"},
}
SPEC = MeshConfigSpec(
    mesh_config_class_name="nginx-mesh-meshconfig-class",
    mtls=Mtls(mode=MtlsMode.STRICT),
    telemetry=Telemetry(exporters=Exporters(otlp=Otlp(host="collector"))),
)


@pytest.mark.spec("6.meshconfig")
def test_what_is_written_is_what_injection_reads() -> None:
    """Images and trust domain from the installation, the mode from the MeshConfig."""
    text = settings.render_settings(settings.merge_settings(INSTALLATION, SPEC))
    found = settings.parse_settings(settings.load_settings(text), native_sidecar=False)
    assert (found.sidecar_image, found.init_image, found.image_pull_policy) == ("s:1", "i:1", "Never")
    assert (found.trust_domain, found.mtls_mode, found.native_sidecar) == ("corp.example", MtlsMode.STRICT, False)


@pytest.mark.spec("6.meshconfig")
def test_the_spec_comes_back_out_of_the_document() -> None:
    """A MeshConfig that has vanished is restored from it, without what belongs to the installation."""
    document = settings.merge_settings(INSTALLATION, SPEC)
    spec = settings.mesh_config_spec(document, "nginx-mesh-meshconfig-class")
    assert spec["mtls"] == {"mode": "strict", "svidTTL": "1h", "caTTL": "720h", "caKeyType": "ec-p256"}
    assert spec["telemetry"] == {"samplerRatio": 0.01, "exporters": {"otlp": {"host": "collector", "port": 4317}}}
    assert spec["meshConfigClassName"] == "nginx-mesh-meshconfig-class"
    assert "registry" not in spec
    assert "namespace" not in spec


@pytest.mark.spec("6.meshconfig")
@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"registry": {}}, "registry.sidecarImage"),
        ({"registry": None}, "registry"),
        ({"mtls": {"trustDomain": "", "mode": "off"}}, "mtls.trustDomain"),
        ({"mtls": {"trustDomain": "x", "mode": "lax"}}, "mtls.mode"),
        ({"nginxErrorLogLevel": "loud"}, "nginxErrorLogLevel"),
        ({"namespace": 7}, "namespace"),
    ],
)
def test_a_broken_document_is_refused_by_place(change: dict[str, Any], place: str) -> None:
    """Somebody may have edited the ConfigMap."""
    document = settings.merge_settings(INSTALLATION, SPEC) | change
    with pytest.raises(InvalidInputError, match=place):
        settings.parse_settings(document)


@pytest.mark.parametrize("text", ["", "[]", "{", "7"])
def test_what_is_no_object_is_refused(text: str) -> None:
    """Also an empty ConfigMap."""
    with pytest.raises(InvalidInputError):
        settings.load_settings(text)
