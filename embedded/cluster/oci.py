"""Write small images as OCI archives (OCI image layout 1.0), byte for byte the same from the same input.

One uncompressed layer: the archive is imported on the same machine, so compressing it would only cost time.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_PLATFORM = {"x86_64": "amd64", "aarch64": "arm64"}
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Image:
    """An image from scratch. ``files`` maps a path in the image, without a leading slash, to an executable here."""

    name: str
    files: Mapping[str, Path]
    entrypoint: tuple[str, ...]
    user: str = "0"
    labels: Mapping[str, str] = field(default_factory=dict)


def reference(image: Image) -> str:
    """``localhost/<name>:<tag>`` with a tag that follows from the content."""
    digest = hashlib.sha256(json.dumps(_runtime(image), sort_keys=True).encode())
    for path, source in sorted(image.files.items()):
        digest.update(f"\n{path}\n{_file_digest(source)}".encode())
    return f"localhost/{image.name}:{digest.hexdigest()[:16]}"


def write_archive(image: Image, destination: Path) -> str:
    """Write *image* to *destination* by rename and return its reference."""
    named = reference(image)
    destination.parent.mkdir(parents=True, exist_ok=True)
    layer = destination.with_name(f".{destination.name}.layer")
    fresh = destination.with_name(f".{destination.name}.new")
    try:
        with layer.open("wb") as file:
            _write_layer(image, file)
        with tarfile.open(fresh, "w", format=tarfile.USTAR_FORMAT) as archive:
            _write_layout(archive, image, layer, named)
        fresh.replace(destination)
    finally:
        layer.unlink(missing_ok=True)
        fresh.unlink(missing_ok=True)
    return named


class ArchiveError(ValueError):
    """A file that is no image archive."""


def manifests(archive: Path) -> dict[str, str]:
    """Reference -> manifest digest of an OCI archive; empty for another format or an image without a name.

    Raises ArchiveError when it cannot be read at all.
    """
    try:
        with tarfile.open(archive) as file:
            if "index.json" not in file.getnames():
                return {}
            member = file.extractfile("index.json")
            index: dict[str, Any] = json.load(member) if member else {"manifests": []}
    except (OSError, tarfile.TarError, ValueError) as error:
        raise ArchiveError(f"{archive}: not an image archive: {str(error).splitlines()[0]}") from error
    found: dict[str, str] = {}
    for manifest in index["manifests"]:
        annotations = manifest.get("annotations", {})
        name = annotations.get("io.containerd.image.name") or annotations.get("org.opencontainers.image.ref.name")
        if name:
            found[name] = manifest["digest"]
    return found


def _write_layer(image: Image, file: IO[bytes]) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as layer:
        for path, source in sorted(image.files.items()):
            entry = _entry(path, source.stat().st_size, mode=0o755)
            with source.open("rb") as content:
                layer.addfile(entry, content)


def _write_layout(archive: tarfile.TarFile, image: Image, layer: Path, named: str) -> None:
    layer_digest = _file_digest(layer)
    config = _json({**_runtime(image), "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]}})
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": _descriptor(_CONFIG_TYPE, config),
            "layers": [
                {"mediaType": _LAYER_TYPE, "digest": f"sha256:{layer_digest}", "size": layer.stat().st_size},
            ],
        }
    )
    names = {"org.opencontainers.image.ref.name": named, "io.containerd.image.name": named}
    index = {"schemaVersion": 2, "manifests": [{**_descriptor(_MANIFEST_TYPE, manifest), "annotations": names}]}
    _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    _add(archive, "index.json", _json(index))
    for blob in (config, manifest):
        _add(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
    with layer.open("rb") as content:
        archive.addfile(_entry(f"blobs/sha256/{layer_digest}", layer.stat().st_size), content)


def _runtime(image: Image) -> dict[str, Any]:
    return {
        "architecture": _PLATFORM[os.uname().machine],
        "os": "linux",
        "config": {"Entrypoint": list(image.entrypoint), "User": image.user, "Labels": dict(image.labels)},
    }


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def _add(archive: tarfile.TarFile, path: str, content: bytes) -> None:
    archive.addfile(_entry(path, len(content)), io.BytesIO(content))


def _entry(path: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.size = size
    entry.mode = mode
    return entry


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
