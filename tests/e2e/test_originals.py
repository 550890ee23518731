"""The examples of NGINX Service Mesh itself, unchanged, where a machine has them (contract 7.parse).

They are not ours to keep here; `NSM_EXAMPLES` names the folder `examples` of a checkout of its public repository. What they
do is proven with manifests of our own (`tutorials/`), for their images cannot be had everywhere.
"""

import os
import re
from pathlib import Path

import pytest
import yaml

from mesh.api.kinds import POLICY_PARSERS
from tests.e2e.mesh_under_test import MeshUnderTest

_TO_BE_FILLED_IN = re.compile("<[A-Za-z ]+>")
FOLDER = os.environ.get("NSM_EXAMPLES", "")


def policies_in(file: Path) -> list[str]:
    """The documents of a file that are traffic policies, as they stand there; none in what is no YAML."""
    parts = _TO_BE_FILLED_IN.sub("default", file.read_text().replace("\r\n", "\n")).split("\n---")
    try:
        kinds = [(yaml.safe_load(part) or {}).get("kind") for part in parts]
    except (yaml.YAMLError, AttributeError):
        return []
    return [part for part, kind in zip(parts, kinds, strict=True) if kind in POLICY_PARSERS]


@pytest.mark.spec("7.parse")
@pytest.mark.skipif(not FOLDER, reason="NSM_EXAMPLES names no folder with the examples of NGINX Service Mesh")
def test_every_policy_among_the_examples_is_accepted(mesh: MeshUnderTest) -> None:
    """By the API server's schemas and by the webhook; nothing is stored."""
    found = {file: policies_in(file) for file in sorted(Path(FOLDER).rglob("*.yaml"))}
    assert sum(map(len, found.values())) >= 1, f"no policy below {FOLDER}"
    for file, documents in found.items():
        for document in documents:
            said = mesh.kubectl.run("-n", "default", "apply", "--dry-run=server", "-f", "-", given=document)
            print(f"{file}: {said.strip()}")
