"""What injection must know beside the pod, and the document in which it is kept.

ConfigMap ``meshconfig`` holds the document ``meshconfig.json``: what the installation fixes (images, registry,
namespace, trust domain) merged with the MeshConfig's settings. The controller writes it; `meshctl config` and
`meshctl inject` read it (contract 6.meshconfig).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.mesh_config import LogLevel, MeshConfigSpec
from mesh.api.mtls import MtlsMode
from mesh.api.version import VERSION

_MTLS_KEYS = frozenset({"mode", "svidTTL", "caTTL", "caKeyType"})
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """Facts of one mesh that end up in the pods of its workloads.

    ``mtls_mode`` and ``log_level`` are the global ones; ``native_sidecar`` says whether the API server knows restartable
    init containers (Kubernetes 1.29 and later). ``lenient``: what NGINX Service Mesh only warned about is no reason to refuse
    a pod. ``pull_secret`` names the Secret with the registry's credentials, empty without any.
    """

    sidecar_image: str
    init_image: str
    image_pull_policy: str = "IfNotPresent"
    mesh_namespace: str = names.DEFAULT_NAMESPACE
    trust_domain: str = names.DEFAULT_TRUST_DOMAIN
    mtls_mode: MtlsMode = MtlsMode.PERMISSIVE
    log_level: LogLevel = LogLevel.WARN
    native_sidecar: bool = True
    lenient: bool = False
    pull_secret: str = ""
    version: str = VERSION


def merge_settings(installation: Mapping[str, Any], spec: MeshConfigSpec) -> dict[str, Any]:
    """Give the document ``meshconfig.json``: *installation* with the settings of *spec*, defaults written out."""
    otlp = spec.telemetry.exporters.otlp if spec.telemetry.exporters else None
    exporters = {"exporters": {"otlp": {"host": otlp.host, "port": otlp.port}}} if otlp else {}
    return {
        **installation,
        "accessControlMode": str(spec.access_control_mode),
        "clientMaxBodySize": spec.client_max_body_size,
        "mtls": {
            **installation.get("mtls", {}),
            "mode": str(spec.mtls.mode),
            "svidTTL": spec.mtls.svid_ttl,
            "caTTL": spec.mtls.ca_ttl,
            "caKeyType": str(spec.mtls.ca_key_type),
        },
        "nginxErrorLogLevel": str(spec.nginx_error_log_level),
        "nginxLBMethod": str(spec.nginx_lb_method),
        "nginxLogFormat": str(spec.nginx_log_format),
        "prometheusAddress": spec.prometheus_address,
        "telemetry": {"samplerRatio": spec.telemetry.sampler_ratio, **exporters},
    }


def mesh_config_spec(document: Mapping[str, Any], class_name: str) -> dict[str, Any]:
    """Take the MeshConfig's spec back out of the document, to restore an object that has vanished."""
    keys = (
        "accessControlMode",
        "clientMaxBodySize",
        "nginxErrorLogLevel",
        "nginxLBMethod",
        "nginxLogFormat",
        "prometheusAddress",
        "telemetry",
    )
    mtls = {key: value for key, value in _object(document, "mtls").items() if key in _MTLS_KEYS}
    return {"meshConfigClassName": class_name, "mtls": mtls} | {key: document[key] for key in keys if key in document}


def render_settings(document: Mapping[str, Any]) -> str:
    """Write the document so that equal settings give equal text."""
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def load_settings(text: str) -> dict[str, Any]:
    """Read the document's text. Raises InvalidInputError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid("document", text, "JSON") from error
    if not isinstance(document, dict):
        raise _invalid("document", document, "an object")
    return document


def parse_settings(document: Mapping[str, Any], *, native_sidecar: bool = True) -> InjectionSettings:
    """Take out of ``meshconfig.json`` what injection needs. Raises InvalidInputError."""
    registry, mtls = _object(document, "registry"), _object(document, "mtls")
    return InjectionSettings(
        sidecar_image=_text(registry, "registry.sidecarImage"),
        init_image=_text(registry, "registry.sidecarInitImage"),
        image_pull_policy=_choice(registry, "registry.imagePullPolicy", _PULL_POLICIES),
        mesh_namespace=_text(document, "namespace"),
        trust_domain=_text(mtls, "mtls.trustDomain"),
        mtls_mode=MtlsMode(_choice(mtls, "mtls.mode", tuple(MtlsMode))),
        log_level=LogLevel(_choice(document, "nginxErrorLogLevel", tuple(LogLevel))),
        native_sidecar=native_sidecar,
        lenient=document.get("lenientInjection") is True,
        pull_secret=str(registry.get("registryKeyName") or ""),
    )


def _object(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise _invalid(key, value, "an object")
    return value


def _text(parent: Mapping[str, Any], place: str) -> str:
    value = parent.get(place.rpartition(".")[2])
    if not isinstance(value, str) or not value:
        raise _invalid(place, value, "text that is not empty")
    return value


def _choice(parent: Mapping[str, Any], place: str, choices: tuple[str, ...]) -> str:
    value = _text(parent, place)
    if value not in choices:
        raise _invalid(place, value, ", ".join(choices))
    return value


def _invalid(place: str, got: object, takes: str) -> InvalidInputError:
    return InvalidInputError([Problem(f"meshconfig.json: {place}", quote(got), takes)])
