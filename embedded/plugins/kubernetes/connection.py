"""One HTTPS connection pool to the API server that a kubeconfig names, with retries where repeating is safe.

Raises `ApiError` for an answer of the server, `Unreachable` when there is none: the two must never be confused, because
"not found" lets Pulumi forget an object.
"""

import json
import random
import threading
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
import yaml

from embedded.plugins.kubernetes.options import Options
from embedded.plugins.kubernetes.properties import Object

PATIENCE_SECONDS = 15.0
"""How long a request is repeated against a server that does not answer."""
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 60.0
_IN_FLIGHT = 16


class ApiError(Exception):
    """The server's refusal: HTTP status, its reason word (such as AlreadyExists) and its message."""

    def __init__(self, status: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{message} ({status})")
        self.status, self.reason, self.message = status, reason, message
        self.details = details or {}


class Unreachable(Exception):
    """No answer: wrong kubeconfig, no route, no server."""


class Connection:
    """The kubeconfig's server, ready for requests from many threads. Opens nothing before the first one."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._pool: urllib3.PoolManager | None = None
        self._host = ""
        self._configuration: Any = None
        self._default_namespace = ""
        self._failed_at: float | None = None

    @property
    def default_namespace(self) -> str:
        """Namespace for objects that name none: the option, else the context's, else `default`."""
        if not self._options.namespace:
            try:
                self._open()
            except Unreachable:
                return "default"
        return self._options.namespace or self._default_namespace or "default"

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request, repeated while the server is busy or away, and only where repeating is safe."""
        pool = self._open()
        url = self._host + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        end, pause = time.monotonic() + self._patience(), 0.2
        while True:
            wait = random.uniform(pause / 2, pause)
            try:
                answer = pool.request(
                    method, url, body=data, headers=self._headers(content_type), retries=False, timeout=self._timeout()
                )
            except urllib3.exceptions.HTTPError as error:
                refused = isinstance(
                    error, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
                )
                again = refused or method == "GET"
                if not again or time.monotonic() + wait > end or _is_final(error):
                    self._failed_at = time.monotonic()
                    raise Unreachable(f"{self._host} does not answer: {_plain(error)}") from error
            else:
                self._failed_at = None
                if answer.status < 300:
                    return _decoded(answer.data)
                failure = _error(answer.status, answer.data, answer.reason or "")
                busy = answer.status in {429, 503} or (answer.status in {500, 502, 504} and method == "GET")
                wait = max(wait, _retry_after(answer.headers))
                if not busy or time.monotonic() + wait > end:
                    raise failure
            time.sleep(wait)
            pause = min(2.0, pause * 2)

    def _patience(self) -> float:
        """After one request has waited in vain the others behind it need not do so too."""
        failed = self._failed_at
        return 0.0 if failed is not None and time.monotonic() - failed < 2 * PATIENCE_SECONDS else PATIENCE_SECONDS

    def _timeout(self) -> urllib3.Timeout:
        return urllib3.Timeout(connect=_CONNECT_SECONDS, read=self._options.request_timeout_seconds or _READ_SECONDS)

    def _headers(self, content_type: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "Content-Type": content_type, "User-Agent": "pulumi-kubernetes"}
        with self._lock:  # an exec credential plug-in may run here
            settings = self._configuration.auth_settings()
        headers.update({entry["key"]: entry["value"] for entry in settings.values() if entry.get("value")})
        return headers

    def _open(self) -> urllib3.PoolManager:
        with self._lock:
            if self._pool is None:
                self._pool = self._load()
            return self._pool

    def _load(self) -> urllib3.PoolManager:
        from kubernetes import client, config

        configuration = client.Configuration()
        options = self._options
        try:
            given = read_kubeconfig(options.kubeconfig)
            document = _with_cluster(given, options) if given is not None else None
            if document is None:
                config.load_config(  # type: ignore[no-untyped-call]
                    client_configuration=configuration, context=options.context or None
                )
            else:
                config.load_kube_config_from_dict(  # type: ignore[no-untyped-call]
                    document, client_configuration=configuration, context=options.context or None
                )
                self._default_namespace = _context_namespace(document, options.context)
        except (config.ConfigException, OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            raise Unreachable(f"kubeconfig: {error}") from error
        configuration.connection_pool_maxsize = _IN_FLIGHT
        configuration.retries = False
        self._configuration = configuration
        self._host = configuration.host.rstrip("/")
        rest = client.rest.RESTClientObject(configuration)
        pool: urllib3.PoolManager = rest.pool_manager
        return pool


def read_kubeconfig(given: str) -> Object | None:
    """The kubeconfig document that a setting names (a path, or the contents themselves), else the ambient one.

    None when several files are merged by KUBECONFIG: then the client library merges them.
    """
    import os

    text = given or os.environ.get("KUBECONFIG", "")
    if not given and os.pathsep in text:
        return None
    if "\n" not in text and not text.lstrip().startswith("{"):
        path = Path(text or "~/.kube/config").expanduser()
        if not path.exists() and not given and not text:
            return None  # perhaps inside a pod
        text = path.read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    if not isinstance(document, dict):
        raise TypeError("got something that is no mapping, takes a kubeconfig document")
    return document


def _with_cluster(document: Object, options: Options) -> Object:
    """The `cluster` option puts another cluster into the context used."""
    if not options.cluster:
        return document
    name = options.context or document.get("current-context", "")
    contexts = [
        {**entry, "context": {**entry["context"], "cluster": options.cluster}} if entry["name"] == name else entry
        for entry in document.get("contexts", [])
    ]
    return {**document, "contexts": contexts}


def _context_namespace(document: Object, context: str) -> str:
    name = context or document.get("current-context", "")
    for entry in document.get("contexts") or []:
        if entry.get("name") == name:
            return str((entry.get("context") or {}).get("namespace") or "")
    return ""


def _is_final(error: Exception) -> bool:
    """A wrong name or certificate does not become right by waiting."""
    text = str(error)
    return isinstance(error, urllib3.exceptions.SSLError) or "CERTIFICATE" in text or "Name or service" in text


def _plain(error: Exception) -> str:
    text = str(error)
    return text.split(": ", 1)[1] if text.startswith("<") and ": " in text else text


def _decoded(data: bytes) -> Object:
    document = json.loads(data) if data else {}
    if not isinstance(document, dict):
        raise ApiError(502, "InternalError", "the server's answer is no object")
    return document


def _error(status: int, data: bytes, reason: str) -> ApiError:
    try:
        document = json.loads(data)
        return ApiError(
            status, document.get("reason", reason), document.get("message", reason), document.get("details")
        )
    except (ValueError, AttributeError):  # an unknown API group is answered in plain text
        text = data.decode(errors="replace").strip()[:300]
        return ApiError(status, "NotFound" if status == 404 else reason, text or reason)


def _retry_after(headers: Mapping[str, str]) -> float:
    value = headers.get("Retry-After", "")
    return min(float(value), 5.0) if value.isdigit() else 0.0
