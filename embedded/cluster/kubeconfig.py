"""Kubeconfig documents; they are JSON, which every reader of YAML takes."""

import base64
import json
from pathlib import Path
from typing import Any

from embedded.cluster import pki


def build(cluster: str, server: str, authority: bytes, certificate: bytes, key: bytes) -> dict[str, Any]:
    """Kubeconfig with one context named after the cluster; certificates and key are PEM."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority-data": _encode(authority)}},
        ],
        "users": [
            {
                "name": cluster,
                "user": {"client-certificate-data": _encode(certificate), "client-key-data": _encode(key)},
            },
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        "current-context": cluster,
    }


def write(destination: Path, cluster: str, server: str, directory: Path, holder: str) -> None:
    """Write the kubeconfig of the certificate *holder* in *directory*, mode 0600; leaves an equal one alone."""
    document = build(
        cluster,
        server,
        (directory / f"{pki.CLUSTER_AUTHORITY}.crt").read_bytes(),
        (directory / f"{holder}.crt").read_bytes(),
        (directory / f"{holder}.key").read_bytes(),
    )
    text = json.dumps(document, indent=2) + "\n"
    if destination.exists() and destination.read_text() == text:
        return
    fresh = destination.with_name(destination.name + ".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(destination)


def _encode(pem: bytes) -> str:
    return base64.b64encode(pem).decode("ascii")
