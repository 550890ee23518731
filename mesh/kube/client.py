"""One connection pool to one API server: raw requests and streams, errors of our own (design 8).

``kubernetes`` gives configuration (in a pod, or a kubeconfig) and transport; its models are never touched, since they
would triple the memory of a resident process.
"""

import json
import urllib.parse
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import config_exception, incluster_config, kube_config

CONNECT_SECONDS: Final = 5.0
REQUEST_SECONDS: Final = 15.0
JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
_TEXT_LIMIT: Final = 500
# Watches, a lease, webhooks' reads and writes at once; beyond it requests wait for each other.
_POOL_SIZE: Final = 40

Query = Mapping[str, str]


class ApiError(Exception):
    """The API server refused, or did not answer; ``status`` is the HTTP status, 0 for no answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}" if status else text)
        self.status = status
        self.text = text


class ConfigurationError(Exception):
    """There is no way to the API server: no pod's credentials, no usable kubeconfig."""


class Client:
    """Requests to the API server; everything raises ApiError, within REQUEST_SECONDS unless said otherwise."""

    def __init__(self, configuration: Configuration) -> None:
        # Python 3.13 refuses authorities without key identifiers, which older clusters have; chain and expiry still count.
        configuration.disable_strict_ssl_verification = True
        configuration.connection_pool_maxsize = _POOL_SIZE
        self._configuration = configuration
        self._api: Any = ApiClient(configuration)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.close()

    @property
    def server(self) -> str:
        """Address of the API server."""
        return str(self._configuration.host)

    async def get(self, path: str, query: Query | None = None, accept: str = JSON) -> bytes:
        """Read an object or a list, in a form of *accept*."""
        return await self.request("GET", path, query, accept=accept)

    async def request(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> bytes:
        """Send one request; return the answer's body."""
        limits = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)
        async with self._send(method, path, query, body, content_type, accept, limits) as response:
            return await response.read()

    @asynccontextmanager
    async def stream(
        self, path: str, query: Query, silence_seconds: float, accept: str = JSON
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Read an endless answer, such as a watch; silence for *silence_seconds* is an error."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds)
        async with self._send("GET", path, query, None, JSON, accept, limits) as response:
            yield response.content

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        query: Query | None,
        body: Mapping[str, Any] | None,
        content_type: str,
        accept: str,
        limits: aiohttp.ClientTimeout,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self.server + path + ("?" + urllib.parse.urlencode(query) if query else "")
        try:
            answer = await self._api.call_api(
                method,
                url,
                await self._headers(content_type, accept),
                dict(body) if body is not None else None,
                None,
                limits,
            )
            response: aiohttp.ClientResponse = answer.response
            async with response:
                if response.status >= 300:
                    raise ApiError(response.status, _explanation(await response.read()))
                yield response
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ApiError(0, f"{method} {path}: {str(error) or type(error).__name__}") from error

    async def _headers(self, content_type: str, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": "nginx-mesh"}
        settings: Any = await self._configuration.auth_settings()
        headers |= {setting["key"]: setting["value"] for setting in settings.values() if setting["value"]}
        return headers


async def load_configuration(kubeconfig: Path | None = None, context: str | None = None) -> Configuration:
    """Credentials of the pod that this runs in, or of *kubeconfig*. Raises ConfigurationError."""
    configuration = Configuration()
    pod: Any = incluster_config
    file: Any = kube_config
    try:
        if kubeconfig is None:
            pod.load_incluster_config(configuration)
        else:
            await file.load_kube_config(str(kubeconfig), context, configuration, persist_config=False)
    except (config_exception.ConfigException, OSError) as error:
        raise ConfigurationError(str(error)) from error
    return configuration


@asynccontextmanager
async def connect(kubeconfig: Path | None = None, context: str | None = None) -> AsyncIterator[Client]:
    """A client for the cluster that this runs in, or for that of *kubeconfig*. Raises ConfigurationError."""
    async with Client(await load_configuration(kubeconfig, context)) as client:
        yield client


def _explanation(body: bytes) -> str:
    """The message of a Status object, else the beginning of whatever came."""
    try:
        text = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        text = body.decode(errors="replace")
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "..."
