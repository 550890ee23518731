"""The few calls of the Kubernetes API that starting a cluster and binding its volumes need; plain HTTPS and JSON."""

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

FIELD_MANAGER = "nginx-mesh-embedded"
Object = dict[str, Any]


class ApiError(RuntimeError):
    """The API server refused a request (``status`` is its HTTP status) or could not be reached (0)."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class Api:
    """One holder's access to one API server. A connection per call; not shared between threads."""

    def __init__(self, url: str, directory: Path, holder: str, timeout_seconds: float = 10.0) -> None:
        """Use certificate and key of *holder* and the authority ``ca`` in *directory*."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or 443
        self._timeout_seconds = timeout_seconds
        self._context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
        self._context.load_cert_chain(str(directory / f"{holder}.crt"), str(directory / f"{holder}.key"))

    def get(self, path: str) -> Object:
        """Read an object or a list."""
        return self._call("GET", path)

    def find(self, path: str) -> Object | None:
        """Read an object; None when there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == http.HTTPStatus.NOT_FOUND:
                return None
            raise

    def text(self, path: str) -> str:
        """Read what is not JSON, such as /readyz."""
        return self._request("GET", path, None, "").decode(errors="replace")

    def create(self, path: str, value: Object) -> Object:
        """Create *value* in the collection *path*."""
        return self._call("POST", path, value)

    def apply(self, path: str, value: Object) -> Object:
        """Create or change the object at *path* so that it has the fields of *value* (server-side apply)."""
        query = urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        return self._call("PATCH", f"{path}?{query}", value, "application/apply-patch+yaml")

    def delete(self, path: str) -> None:
        """Delete the object at *path*; one that is not there is fine."""
        try:
            self._call("DELETE", path)
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise

    def changes(self, path: str, seconds: int) -> Iterator[Object]:
        """Yield the events of a watch of the collection *path* for at most about *seconds*."""
        query = urlencode({"watch": "1", "timeoutSeconds": seconds, "allowWatchBookmarks": "true"})
        connection = self._connect(seconds + self._timeout_seconds)
        try:
            connection.request("GET", f"{path}?{query}", headers={"Accept": "application/json"})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise ApiError(response.status, _message(path, response.status, response.read()))
            while line := response.readline():
                yield json.loads(line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(0, f"{path}: {error}") from error
        finally:
            connection.close()

    def _call(self, method: str, path: str, value: Object | None = None, kind: str = "application/json") -> Object:
        body = None if value is None else json.dumps(value).encode()
        answer: Object = json.loads(self._request(method, path, body, kind))
        return answer

    def _request(self, method: str, path: str, body: bytes | None, kind: str) -> bytes:
        connection = self._connect(self._timeout_seconds)
        try:
            connection.request(method, path, body=body, headers={"Accept": "*/*", "Content-Type": kind})
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiError(response.status, _message(f"{method} {path}", response.status, content))
        return content

    def _connect(self, timeout_seconds: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_seconds, context=self._context)


def _message(what: str, status: int, content: bytes) -> str:
    try:
        said = json.loads(content)["message"]
    except (ValueError, KeyError, TypeError):
        said = content.decode(errors="replace")[:200]
    return f"{what}: {status}: {said}"
