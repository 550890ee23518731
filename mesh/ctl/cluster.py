"""The Kubernetes API as meshctl uses it: JSON in, JSON out, by path. Every request has a time limit."""

import json
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode


class ClusterError(Exception):
    """The API server could not be asked, or refused; the message says what, and what to do."""


class NotFoundError(ClusterError):
    """The object asked for does not exist."""


class Reader(Protocol):
    """What checks need of a cluster; tests give them one made of dictionaries."""

    def get(self, path: str) -> Any:
        """Return the JSON at *path*. Raises NotFoundError, ClusterError."""

    def create_dry_run(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return what the API server would store for *body*, admission included. Raises ClusterError."""


class Cluster:
    """A Kubernetes API server, reached as kubectl would reach it."""

    def __init__(self, client: Any, timeout_seconds: float) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds

    @classmethod
    def from_kubeconfig(cls, kubeconfig: str, timeout_seconds: float) -> "Cluster":
        """Read the kubeconfig; an empty path means $KUBECONFIG or the default place. Raises ClusterError."""
        from kubernetes import client, config

        try:
            settings: Any = client.Configuration()
            load: Any = config.load_kube_config
            load(kubeconfig or None, client_configuration=settings)
        except (config.ConfigException, OSError) as error:
            raise ClusterError(f"no usable kubeconfig: {error}; name one with --kubeconfig or $KUBECONFIG") from error
        settings.retries = 1
        return cls(client.ApiClient(settings), timeout_seconds)

    def get(self, path: str) -> Any:
        """Return the JSON at *path*; text that is no JSON as a string."""
        return self._request("GET", path, None)

    def create_dry_run(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send *body* through authorization and admission; nothing is stored."""
        return self._request("POST", path + "?" + urlencode({"dryRun": "All"}), body)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        import urllib3

        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        try:
            prepared = self._client.param_serialize(
                method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            response = self._client.call_api(*prepared, _request_timeout=self._timeout_seconds)
            content = response.read()
        except urllib3.exceptions.HTTPError as error:
            where = self._client.configuration.host
            raise ClusterError(f"{where} did not answer {method} {path}: {error}") from error
        if response.status >= 400:
            _raise_refusal(method, path, response.status, content)
        return _decode(content)


def _raise_refusal(method: str, path: str, status: int, content: bytes) -> None:
    decoded = _decode(content)
    message = decoded.get("message", "") if isinstance(decoded, dict) else str(decoded).strip()
    kind = NotFoundError if status == 404 else ClusterError
    raise kind(f"{method} {path}: {status} {message[:500]}")


def _decode(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode("utf-8", "replace")


def core(resource: str, namespace: str = "", name: str = "") -> str:
    """Return the path of a core resource: of all namespaces when *namespace* is empty, of one object with *name*."""
    return _path("/api/v1", resource, namespace, name)


def grouped(group: str, resource: str, namespace: str = "", name: str = "") -> str:
    """Return the path of a resource of *group*, written ``<group>/<version>``."""
    return _path(f"/apis/{group}", resource, namespace, name)


def service_proxy(namespace: str, service: str, port: int, path: str) -> str:
    """Return the path that asks *service* by way of the API server, so no port-forward is needed."""
    return core("services", namespace, f"{service}:{port}") + f"/proxy/{path.lstrip('/')}"


def selected(path: str, labels: Mapping[str, str]) -> str:
    """Return *path* narrowed to the objects that carry *labels*."""
    return path + "?" + urlencode({"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())})


def _path(prefix: str, resource: str, namespace: str, name: str) -> str:
    scope = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"{prefix}{scope}/{resource}" + (f"/{quote(name, safe=':')}" if name else "")
