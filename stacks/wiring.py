"""Turn settings into what the components take."""

from typing import Any

from components import image_roles
from components.controller import ControllerArgs
from components.controller_objects import ControllerSpec
from components.custom_resources import ClusterAccess, CustomResourcesArgs
from components.foundation import FoundationArgs
from components.identities import IdentitiesArgs
from components.mesh import MeshArgs
from components.nats_config import NatsConfig
from components.nats_objects import NatsSpec
from components.registry_objects import Credentials
from components.spire_agent_objects import SpireAgentSpec
from components.spire_config import SpireConfig
from components.spire_server_objects import SpireServerSpec
from mesh.api import names
from stacks.settings import PersistentStorage, Settings


def mesh_args(settings: Settings, access: ClusterAccess) -> MeshArgs:
    """What every part of the mesh takes; ``persistentStorage`` must be decided (on or off)."""
    images = _images(settings)
    credentials = _credentials(settings)
    pull_policy = settings.registry.image_pull_policy.value
    pull_secrets = (names.REGISTRY_SECRET,) if credentials else ()
    spire = _spire(settings)
    return MeshArgs(
        foundation=FoundationArgs(settings.namespace, credentials),
        custom_resources=CustomResourcesArgs(access),
        spire_server=SpireServerSpec(
            config=spire,
            server_image=images[names.SPIRE_SERVER],
            controller_manager_image=images[image_roles.SPIRE_CONTROLLER_MANAGER],
            pull_policy=pull_policy,
            pull_secrets=pull_secrets,
            persistent=settings.mtls.persistent_storage is PersistentStorage.ON,
        ),
        spire_agent=SpireAgentSpec(
            config=spire,
            agent_image=images[names.SPIRE_AGENT],
            wait_image=images[names.INIT],
            pull_policy=pull_policy,
            pull_secrets=pull_secrets,
        ),
        identities=IdentitiesArgs(settings.namespace, settings.cluster_domain),
        nats=NatsSpec(
            config=NatsConfig(settings.namespace, settings.mtls.trust_domain),
            nats_image=images[names.NATS_SERVER],
            reloader_image=images[names.CERT_RELOADER],
            pull_policy=pull_policy,
            pull_secrets=pull_secrets,
        ),
        controller=ControllerArgs(
            spec=ControllerSpec(
                namespace=settings.namespace,
                trust_domain=settings.mtls.trust_domain,
                image=images[names.CONTROLLER],
                pull_policy=pull_policy,
                pull_secrets=pull_secrets,
                replicas=settings.controller.replicas,
                installation=_installation(settings, images),
                removal_seconds=int(settings.removal.wait.removesuffix("s")),
            ),
            settings=mesh_config_spec(settings),
            failure_policy=settings.injection.failure_policy.value,
        ),
    )


def mesh_config_spec(settings: Settings) -> dict[str, Any]:
    """The members of MeshConfig.spec that the stack owns."""
    spec: dict[str, Any] = {
        "accessControlMode": settings.access_control_mode.value,
        "clientMaxBodySize": settings.client_max_body_size,
        "mtls": {
            "mode": settings.mtls.mode.value,
            "caTTL": settings.mtls.ca_ttl,
            "svidTTL": settings.mtls.svid_ttl,
            "caKeyType": settings.mtls.ca_key_type.value,
        },
        "nginxErrorLogLevel": settings.nginx_error_log_level.value,
        "nginxLBMethod": settings.nginx_lb_method.value,
        "nginxLogFormat": settings.nginx_log_format.value,
        "prometheusAddress": settings.prometheus_address,
        "telemetry": {"samplerRatio": settings.telemetry.sampler_ratio},
    }
    if settings.telemetry.exporters:
        otlp = settings.telemetry.exporters.otlp
        spec["telemetry"]["exporters"] = {"otlp": {"host": otlp.host, "port": otlp.port}}
    return spec


def _installation(settings: Settings, images: dict[str, str]) -> dict[str, Any]:
    """The part of meshconfig.json that no MeshConfig holds; keys as NSM's (contract 6.meshconfig)."""
    registry = settings.registry
    return {
        "appProtocol": settings.app_protocol,
        "serverFirstMilliseconds": settings.server_first_milliseconds,
        "enableUDP": False,
        "environment": settings.environment.value,
        "lenientInjection": settings.injection.lenient,
        "mtls": {"trustDomain": settings.mtls.trust_domain},
        "namespace": settings.namespace,
        "registry": {
            "disablePublicImages": registry.disable_public_images,
            "imagePullPolicy": registry.image_pull_policy.value,
            "imageTag": registry.image_tag,
            "registryKeyName": names.REGISTRY_SECRET if _credentials(settings) else "",
            "server": registry.server,
            "sidecarImage": images[names.SIDECAR],
            "sidecarInitImage": images[names.INIT],
        },
    }


def _images(settings: Settings) -> dict[str, str]:
    registry = settings.registry
    source = image_roles.Source(
        server=registry.server.rstrip("/"),
        tag=registry.image_tag,
        disable_public_images=registry.disable_public_images,
        overrides=settings.images or {},
    )
    return {role: image_roles.reference(role, source) for role in image_roles.ROLES}


def _credentials(settings: Settings) -> Credentials | None:
    given = settings.registry.credentials
    if not given.key and not given.password:
        return None
    return Credentials(settings.registry.server, given.username, given.password, given.key)


def _spire(settings: Settings) -> SpireConfig:
    return SpireConfig(
        namespace=settings.namespace,
        trust_domain=settings.mtls.trust_domain,
        cluster_domain=settings.cluster_domain,
        ca_ttl=settings.mtls.ca_ttl,
        ca_key_type=settings.mtls.ca_key_type.value,
        key_manager=settings.mtls.spire_server_key_manager.value,
        cache_reload_interval=settings.spire.cache_reload_interval,
        sync_interval=settings.spire.sync_interval,
        log_level=settings.spire.log_level.value,
        verify_kubelet=settings.spire.verify_kubelet,
    )
