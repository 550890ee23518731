"""MeshConfig: the settings of a running mesh, changed by editing the object (contract 6.settings).

``parse_mesh_config`` is what webhook, controller and command line share: what was admitted can be applied. Defaults are
NSM's; the same declarations serve the stack settings.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mesh.api import crd, names, quantities
from mesh.api.conditions import Condition
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.mtls import MtlsMode
from mesh.api.schema import member


class AccessControlMode(StrEnum):
    """What happens to calls that no TrafficTarget mentions."""

    ALLOW = "allow"
    DENY = "deny"


class CaKeyType(StrEnum):
    """Key types of the certificate authority."""

    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    RSA_2048 = "rsa-2048"
    RSA_4096 = "rsa-4096"


class LogLevel(StrEnum):
    """NGINX error log levels."""

    DEBUG = "debug"
    INFO = "info"
    NOTICE = "notice"
    WARN = "warn"
    ERROR = "error"
    CRIT = "crit"
    ALERT = "alert"
    EMERG = "emerg"


class LogFormat(StrEnum):
    """Access log formats."""

    DEFAULT = "default"
    JSON = "json"


class LbMethod(StrEnum):
    """Load balancing methods (contract 6.balancing)."""

    LEAST_CONN = "least_conn"
    LEAST_TIME = "least_time"
    LEAST_TIME_LAST_BYTE = "least_time last_byte"
    LEAST_TIME_LAST_BYTE_INFLIGHT = "least_time last_byte inflight"
    RANDOM = "random"
    RANDOM_TWO = "random two"
    RANDOM_TWO_LEAST_CONN = "random two least_conn"
    RANDOM_TWO_LEAST_TIME = "random two least_time"
    RANDOM_TWO_LEAST_TIME_LAST_BYTE = "random two least_time=last_byte"
    ROUND_ROBIN = "round_robin"


@dataclass(frozen=True, slots=True)
class Mtls:
    """Mutual TLS between pods."""

    mode: MtlsMode = member("mTLS mode of pods that do not say their own.", default=MtlsMode.PERMISSIVE)
    ca_ttl: str = member(
        "Life of the certificate authority's key.",
        name="caTTL",
        default="720h",
        pattern=quantities.CA_TTL_PATTERN,
        takes=quantities.CA_TTL_TAKES,
    )
    svid_ttl: str = member(
        "Life of the certificates of workloads; at most caTTL.",
        name="svidTTL",
        default="1h",
        pattern=quantities.SVID_TTL_PATTERN,
        takes=quantities.SVID_TTL_TAKES,
    )
    ca_key_type: CaKeyType = member("Key type of the certificate authority.", default=CaKeyType.EC_P256)


@dataclass(frozen=True, slots=True)
class Otlp:
    """An OTLP collector, spoken to by gRPC."""

    host: str = member("Host name of the collector.", min_length=1)
    port: int = member("Port of the collector.", default=4317, minimum=0, maximum=65535)


@dataclass(frozen=True, slots=True)
class Exporters:
    """Where spans go."""

    otlp: Otlp = member("The OTLP collector.")


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Tracing; off until an exporter is set."""

    sampler_ratio: float = member("Share of requests that are traced.", default=0.01, minimum=0, maximum=1)
    exporters: Exporters | None = member("Where spans go; without one tracing is off.", default=None)


@dataclass(frozen=True, slots=True)
class MeshConfigSpec:
    """The global settings; what is left out has NSM's default."""

    mesh_config_class_name: str = member("Name of the MeshConfigClass.", min_length=1)
    access_control_mode: AccessControlMode = member(
        "What happens to calls that no TrafficTarget mentions.", default=AccessControlMode.ALLOW
    )
    client_max_body_size: str = member(
        "Largest request body.", default="1m", pattern=quantities.SIZE_PATTERN, takes=quantities.SIZE_TAKES
    )
    mtls: Mtls = member("Mutual TLS between pods.", default=Mtls())
    nginx_error_log_level: LogLevel = member("NGINX error log level of the sidecars.", default=LogLevel.WARN)
    nginx_lb_method: LbMethod = member(
        "Load balancing of Services that do not say their own.", name="nginxLBMethod", default=LbMethod.LEAST_TIME
    )
    nginx_log_format: LogFormat = member("Access log format of the sidecars.", default=LogFormat.DEFAULT)
    prometheus_address: str = member("Prometheus of the cluster, as <service>.<namespace>:<port>.", default="")
    telemetry: Telemetry = member("Tracing.", default=Telemetry())


@dataclass(frozen=True, slots=True)
class MeshConfigStatus:
    """What the controller made of it."""

    transparent: bool | None = member("Whether all sidecars pass traffic through unproxied.", default=None)
    conditions: tuple[Condition, ...] = member("The aspects of its state.", default=(), map_key="type")
    observed_generation: int | None = member("The generation that this is about.", default=None, minimum=0)


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """A MeshConfig object as read from the cluster."""

    name: str
    namespace: str
    generation: int
    spec: MeshConfigSpec


# The condition that tells how far transparent proxies are, and its reason while traffic is proxied; the reasons of a way
# that has stopped end alike (docs/operations/remove.md).
CONDITION_TRANSPARENT = "Transparent"
REASON_PROXYING = "Proxying"
REASON_STOPPED_SUFFIX = "Stopped"
# The condition that keeps how far a change of the mTLS mode is; its reasons are those of mesh.model.mode_change.
CONDITION_MODE = "ModeInForce"

MESH_CONFIG = crd.Kind(
    group=names.GROUP_NSM,
    kind="MeshConfig",
    plural="meshconfigs",
    description="The settings of a running mesh.",
    versions=(
        crd.Version(
            "v1alpha2",
            MeshConfigSpec,
            MeshConfigStatus,
            columns=(
                ("mTLS", "string", ".spec.mtls.mode"),
                ("Access", "string", ".spec.accessControlMode"),
                ("Transparent", "boolean", ".status.transparent"),
            ),
        ),
    ),
)


def parse_mesh_config(manifest: Mapping[str, Any]) -> MeshConfig:
    """Read a MeshConfig object. Raises InvalidInputError with every problem."""
    spec: MeshConfigSpec = crd.parse_spec(MESH_CONFIG, manifest)
    problems = ttl_problems(spec.mtls.svid_ttl, spec.mtls.ca_ttl, "spec.mtls.svidTTL")
    if problems:
        raise InvalidInputError(problems)
    metadata = manifest.get("metadata", {})
    return MeshConfig(
        name=metadata.get("name", ""),
        namespace=metadata.get("namespace", ""),
        generation=metadata.get("generation", 0),
        spec=spec,
    )


def ttl_problems(svid_ttl: str, ca_ttl: str, place: str) -> list[Problem]:
    """A certificate cannot outlive the authority that signed it; both TTLs must be well formed."""
    if quantities.parse_duration(place, svid_ttl) <= quantities.parse_duration(place, ca_ttl):
        return []
    remedy = "a certificate cannot outlive its authority; lower svidTTL or raise caTTL"
    return [Problem(place, quote(svid_ttl), f"at most caTTL, which is {ca_ttl}", remedy)]
