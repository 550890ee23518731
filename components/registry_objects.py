"""Credentials of a private registry, as a Secret that Kubernetes pulls with (contract 10.registry)."""

import base64
import json
from dataclasses import dataclass

from components import manifest
from components.manifest import Manifest
from mesh.api import names


@dataclass(frozen=True, slots=True)
class Credentials:
    """``username`` and ``password``, or the JSON ``key`` of a cloud registry. Never printed."""

    server: str
    username: str = ""
    password: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return f"Credentials(server={self.server!r})"


def docker_config(credentials: Credentials) -> str:
    """The content of .dockerconfigjson."""
    user, secret = ("_json_key", credentials.key) if credentials.key else (credentials.username, credentials.password)
    login = base64.b64encode(f"{user}:{secret}".encode()).decode()
    host = credentials.server.split("/", 1)[0]
    document = {"auths": {host: {"username": user, "password": secret, "auth": login}}}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def secret(namespace: str, encoded: object) -> Manifest:
    """The Secret; *encoded* is the base64 of ``docker_config``, which the program marks as secret."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": manifest.metadata(names.REGISTRY_SECRET, namespace, part=names.CONTROLLER),
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": encoded},
    }
