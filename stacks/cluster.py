"""The stack's cluster: how it is reached, and whether it has a default StorageClass, on which a setting depends."""

from typing import Any

import kubernetes
import pulumi
import yaml
from kubernetes.client.exceptions import OpenApiException
from pulumi.runtime import config as pulumi_config
from urllib3.exceptions import HTTPError

from components.custom_resources import ClusterAccess
from mesh.api.errors import InvalidInputError, Problem

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_TIMEOUT_SECONDS = 10


def default_storage_class() -> str | None:
    """Name of the cluster's default StorageClass. Asks the cluster that the Kubernetes provider uses.

    Raises InvalidInputError when the cluster cannot be asked.
    """
    try:
        with _client() as client:
            api = kubernetes.client.StorageV1Api(client)
            classes = api.list_storage_class(_request_timeout=_TIMEOUT_SECONDS).items
    except (OSError, kubernetes.config.ConfigException, OpenApiException, HTTPError) as error:
        raise _unreachable(error) from error
    for storage_class in classes:
        metadata = storage_class.metadata
        if metadata and (metadata.annotations or {}).get(_DEFAULT_CLASS) == "true":
            return str(metadata.name)
    return None


def access() -> ClusterAccess:
    """What the stack says to the Kubernetes provider: kubernetes:kubeconfig (content or path), kubernetes:context."""
    given = pulumi_config.CONFIG.get()
    return ClusterAccess(given.get("kubernetes:kubeconfig", ""), given.get("kubernetes:context", ""))


def _client() -> Any:
    """A client for the cluster of ``access``; without one, that of KUBECONFIG and its current context."""
    config: Any = kubernetes.config  # it has no type hints
    given = access()
    context = given.context or None
    if "\n" in given.kubeconfig or given.kubeconfig.startswith("{"):
        return config.new_client_from_config_dict(yaml.safe_load(given.kubeconfig), context=context)
    return config.new_client_from_config(given.kubeconfig or None, context=context)


def _unreachable(error: Exception) -> InvalidInputError:
    pulumi.log.debug(f"asking for storage classes failed: {error}")
    first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    remedy = "check KUBECONFIG and kubernetes:context, or set mtls.persistentStorage to off"
    return InvalidInputError(
        [
            Problem(
                "mtls.persistentStorage", f"no answer from the cluster ({first_line})", "a cluster that answers", remedy
            )
        ]
    )
