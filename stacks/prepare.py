"""Make or update the configuration file of a stack: `python -m stacks.prepare STACK [--preset NAME] [--images FILE]`.

A preset fills a file that is not there yet; a file that exists keeps what is in it. ``--images`` (what
`python -m images.build` prints) and ``--set`` replace single settings. The files belong to
the machine, as Pulumi keeps the stacks' encryption salt in them, and are not in the repository.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from components import image_roles

STACKS = Path(__file__).resolve().parent
PRESETS = STACKS / "presets"
_PROJECT = "nginx-mesh:"


def presets() -> tuple[str, ...]:
    """The presets there are."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.yaml")))


def preset(name: str) -> dict[str, Any]:
    """The settings of a preset."""
    values: dict[str, Any] = YAML(typ="safe").load(PRESETS / f"{name}.yaml")
    return values


def prepare(path: Path, settings: Mapping[str, Any], updates: Mapping[str, Any]) -> bool:
    """Write the stack file *path*: *settings* where there is none yet, *updates* always. Returns whether it changed.

    Dotted keys of *updates* name members of structures. Comments and everything else of the file stay.
    """
    yaml = YAML()
    yaml.width = 120
    before = path.read_text() if path.exists() else ""
    document: dict[str, Any] = yaml.load(before) or {}
    config = document.setdefault("config", {})
    if not before:
        for key, value in settings.items():
            config[_PROJECT + key] = value
    for key, value in updates.items():
        _set(config, key, value)
    stream = io.StringIO()
    yaml.dump(document, stream)
    after = stream.getvalue()
    if after == before:
        return False
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(after)
    temporary.replace(path)
    return True


def _set(config: dict[str, Any], key: str, value: Any) -> None:
    first, *rest = key.split(".")
    place = config
    name = _PROJECT + first
    for part in rest:
        place = place.setdefault(name, {})
        name = part
    # YAML 1.1 reads the bare words on and off as truth values.
    place[name] = DoubleQuotedScalarString(value) if value in ("on", "off") else value


def images_of(text: str) -> dict[str, str]:
    """The references of the roles that a stack knows, from the JSON that the image build prints."""
    references: dict[str, str] = json.loads(text)
    return {role: reference for role, reference in sorted(references.items()) if role in image_roles.ROLES}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m stacks.prepare", description=__doc__)
    parser.add_argument("stack")
    parser.add_argument("--preset", choices=presets(), default="development")
    parser.add_argument("--images", type=Path, help="JSON of image references by role; - for standard input")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="such as mtls.mode=strict")
    given = parser.parse_args(arguments)
    updates: dict[str, Any] = {}
    if given.images:
        updates["images"] = images_of(sys.stdin.read() if str(given.images) == "-" else given.images.read_text())
        updates["registry.imagePullPolicy"] = "Never"
    for assignment in given.set:
        key, _, value = assignment.partition("=")
        updates[key] = YAML(typ="safe").load(value)
    prepare(STACKS / f"Pulumi.{given.stack}.yaml", preset(given.preset), updates)
    return 0


if __name__ == "__main__":
    sys.exit(main())
