"""The bill of materials beside each archive: SPDX 2.3 JSON of Debian packages, wheels and locked binaries."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path

from images import buildah
from images.catalogue import Image

_DPKG_STATUS = "/var/lib/dpkg/status"


def write(
    target: Path, image: Image, reference: str, tool: buildah.Buildah, tools: Mapping[str, Path], context: Path
) -> None:
    """Write the bill of *reference*: what its dpkg database names, the wheels in *context*, and *tools*."""
    packages = [*_wheels(context / "packages"), *_binaries(tools)]
    if image.needs_base:
        packages = [*debian_packages(tool.read_file(reference, _DPKG_STATUS).decode()), *packages]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document(reference, packages), indent=1) + "\n")


def document(reference: str, packages: list[dict[str, object]]) -> dict[str, object]:
    """Return the SPDX document of *reference*; equal inputs give equal text, so no time and no random name."""
    created = datetime.fromtimestamp(buildah.SOURCE_DATE_EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": reference,
        "documentNamespace": f"https://spdx.org/spdxdocs/{reference.replace('/', '-').replace(':', '-')}",
        "creationInfo": {"created": created, "creators": ["Tool: images.build"]},
        "packages": packages,
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": package["SPDXID"],
            }
            for package in packages
        ],
    }


def debian_packages(status: str) -> Iterator[dict[str, object]]:
    """Yield one SPDX package for each installed package of a dpkg *status* file."""
    for paragraph in filter(None, status.strip().split("\n\n")):
        fields = HeaderParser().parsestr(paragraph)
        if fields.get("Status", "").endswith(" installed"):
            name, version, machine = fields["Package"], fields["Version"], fields["Architecture"]
            yield _package("deb", name, version, f"pkg:deb/debian/{name}@{version}?arch={machine}")


def _wheels(folder: Path) -> Iterator[dict[str, object]]:
    for metadata in sorted(folder.glob("*.dist-info/METADATA")):
        fields = HeaderParser().parsestr(metadata.read_text(encoding="utf-8"))
        name, version = fields["Name"], fields["Version"]
        yield _package("wheel", name, version, f"pkg:pypi/{name.lower()}@{version}")


def _binaries(tools: Mapping[str, Path]) -> Iterator[dict[str, object]]:
    for name, path in sorted(tools.items()):
        with path.open("rb") as content:
            checksum = hashlib.file_digest(content, "sha256").hexdigest()
        package = _package("binary", name, checksum[:16], f"pkg:generic/{name}@{checksum[:16]}")
        yield {**package, "checksums": [{"algorithm": "SHA256", "checksumValue": checksum}]}


def _package(kind: str, name: str, version: str, url: str) -> dict[str, object]:
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{kind}-{name}-{version}"),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url}],
    }
