"""Every stack setting, declared once: name, type, default, what it takes.

The declarations make the parser, docs/reference/stack-settings.md and the ``config`` section of Pulumi.yaml. Keys and
defaults are those of NSM's deploy options (contract 10.settings); what this version cannot do has no key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mesh.api import names, quantities
from mesh.api.mesh_config import (
    AccessControlMode,
    LbMethod,
    LogFormat,
    LogLevel,
    Mtls,
    Telemetry,
)
from mesh.api.schema import member

_DNS_LABEL = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_DNS_NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
_SECONDS = "^([1-9]|[1-9][0-9]|[1-5][0-9]{2}|600)s$"
_SECONDS_TAKES = "whole seconds from 1s to 600s"


class PersistentStorage(StrEnum):
    """Whether SPIRE keeps its data on a PersistentVolume; ``auto`` means when a default StorageClass exists."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class KeyManager(StrEnum):
    """Where the SPIRE server keeps its private keys."""

    DISK = "disk"
    MEMORY = "memory"


class PullPolicy(StrEnum):
    """Kubernetes' image pull policies."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class FailurePolicy(StrEnum):
    """What happens to a pod that should be injected while the controller is away."""

    FAIL = "Fail"
    IGNORE = "Ignore"


class Environment(StrEnum):
    """Flavour of the cluster."""

    KUBERNETES = "kubernetes"


class SpireLogLevel(StrEnum):
    """Log levels of SPIRE."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password, or a JSON key file of a cloud registry; never both."""

    username: str = member("User of the registry.", default="")
    password: str = member("Password of the user.", default="", secret=True)
    key: str = member("Content of a JSON key file.", default="", secret=True)


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Where images come from."""

    server: str = member("Registry and path of the mesh's own images, without a trailing slash.", default="")
    image_tag: str = member("Tag of the mesh's own images.", default="latest", min_length=1)
    image_pull_policy: PullPolicy = member("When images are pulled.", default=PullPolicy.IF_NOT_PRESENT)
    disable_public_images: bool = member("Take images of others from the same registry, too.", default=False)
    credentials: Credentials = member("Credentials of a private registry; encrypted.", default=Credentials())


@dataclass(frozen=True, slots=True)
class MtlsSettings(Mtls):
    """Identity and mutual TLS: what a MeshConfig may change later, and what only a stack can say."""

    trust_domain: str = member(
        "Trust domain of the mesh.",
        default=names.DEFAULT_TRUST_DOMAIN,
        pattern="^[a-z0-9._-]{1,255}$",
        takes="lower case letters, digits, dots, dashes and underscores, such as example.org, without spiffe://",
    )
    persistent_storage: PersistentStorage = member(
        "Whether SPIRE keeps its data on a PersistentVolume; auto: when a default StorageClass exists.",
        default=PersistentStorage.AUTO,
    )
    spire_server_key_manager: KeyManager = member(
        "Where the SPIRE server keeps its private keys.", default=KeyManager.DISK
    )


@dataclass(frozen=True, slots=True)
class SpireSettings:
    """How fast identities spread. Shorter intervals bring a new pod's first certificate sooner, for more load."""

    cache_reload_interval: str = member(
        "How often the server reads new entries.", default="1s", pattern=_SECONDS, takes=_SECONDS_TAKES
    )
    sync_interval: str = member(
        "How often agents ask the server for entries.", default="1s", pattern=_SECONDS, takes=_SECONDS_TAKES
    )
    verify_kubelet: bool = member(
        "Whether agents check the kubelet's certificate against the cluster's authority; kubeadm's kubelets sign their own.",
        default=False,
    )
    log_level: SpireLogLevel = member("Log level of server and agents.", default=SpireLogLevel.INFO)


@dataclass(frozen=True, slots=True)
class InjectionSettings:
    """The injecting webhook."""

    failure_policy: FailurePolicy = member(
        "Fail: pods that should be injected wait while the controller is away. Ignore: they start without a sidecar.",
        default=FailurePolicy.FAIL,
    )
    lenient: bool = member(
        "As NGINX Service Mesh: a wrong mode, size or flag in a pod's annotations is only warned about and the mesh's own counts; "
        "a pod with an SCTP port, or one port twice, starts without a sidecar.",
        default=False,
    )


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """The mesh controller."""

    replicas: int = member("Replicas; one leads, all serve webhooks.", default=1, minimum=1, maximum=5)


@dataclass(frozen=True, slots=True)
class RemovalSettings:
    """The end of the mesh."""

    wait: str = member(
        "How long a removal waits for the sidecars to become transparent, before it names those that do not, and stops.",
        default="15s",
        pattern=_SECONDS,
        takes=_SECONDS_TAKES,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a stack."""

    namespace: str = member(
        "Namespace of the mesh.",
        default=names.DEFAULT_NAMESPACE,
        pattern=_DNS_LABEL,
        takes="a namespace's name, such as nginx-mesh",
    )
    environment: Environment = member("Flavour of the cluster.", default=Environment.KUBERNETES)
    cluster_domain: str = member(
        "DNS suffix of the cluster's Services.",
        default="cluster.local",
        pattern=_DNS_NAME,
        takes="a DNS name, such as cluster.local",
    )
    registry: RegistrySettings = member("Where images come from.", default=RegistrySettings())
    images: Mapping[str, str] | None = member("Image reference by role; overrides registry.", default=None)
    mtls: MtlsSettings = member("Identity and mutual TLS.", default=MtlsSettings())
    spire: SpireSettings = member("SPIRE's intervals and log level.", default=SpireSettings())
    access_control_mode: AccessControlMode = member(
        "What happens to calls that no TrafficTarget mentions.", default=AccessControlMode.ALLOW
    )
    client_max_body_size: str = member(
        "Largest request body.", default="1m", pattern=quantities.SIZE_PATTERN, takes=quantities.SIZE_TAKES
    )
    app_protocol: bool = member(
        "Whether a Service port's appProtocol counts where its name tells no protocol.", default=True
    )
    server_first_milliseconds: int = member(
        "How long a permissive TCP port waits for a caller without a sidecar to speak; then the server speaks first.",
        default=50,
        minimum=1,
        maximum=10_000,
    )
    nginx_error_log_level: LogLevel = member("NGINX error log level of the sidecars.", default=LogLevel.WARN)
    nginx_log_format: LogFormat = member("Access log format of the sidecars.", default=LogFormat.DEFAULT)
    nginx_lb_method: LbMethod = member(
        "Load balancing of Services that do not say their own.", name="nginxLBMethod", default=LbMethod.LEAST_TIME
    )
    prometheus_address: str = member(
        "Prometheus of the cluster; empty for none.",
        default="",
        pattern=r"^([a-z0-9-]+\.[a-z0-9-]+:[0-9]{1,5})?$",
        takes="<service>.<namespace>:<port>, or nothing",
    )
    telemetry: Telemetry = member("Tracing; off without an exporter.", default=Telemetry())
    injection: InjectionSettings = member("The injecting webhook.", default=InjectionSettings())
    controller: ControllerSettings = member("The mesh controller.", default=ControllerSettings())
    removal: RemovalSettings = member("The end of the mesh.", default=RemovalSettings())
