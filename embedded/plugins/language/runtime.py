"""Which Python runs the program, and what is installed there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TIMEOUT_SECONDS = 60
# Both run in the program's Python, which may be any: standard library only. Reading the file list of every distribution
# would take longer than the whole program, so SDKs are found by their marker file, one level below the search path.
_SDKS = """
import importlib.metadata, json, pathlib, sys
found = []
for file in sorted({file for place in sys.path if place for file in pathlib.Path(place).glob("*/pulumi-plugin.json")}):
    plugin = json.loads(file.read_text())
    try:
        version = importlib.metadata.version(file.parent.name)
    except importlib.metadata.PackageNotFoundError:
        version = plugin.get("version", "")
    found.append({"name": file.parent.name, "version": version, "plugin": plugin})
print(json.dumps(found))
"""
_ALL = """
import importlib.metadata, json, platform
found = [{"name": item.metadata["Name"], "version": item.version} for item in importlib.metadata.distributions()]
print(json.dumps({"python": platform.python_version(), "found": found}))
"""


class Unusable(Exception):
    """The project asks for something that this host cannot give."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """An installed Pulumi SDK: the plug-in that it needs."""

    name: str
    version: str
    server: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """The runtime section of a Pulumi.yaml: options and the directory that they count from."""

    root: Path
    options: Mapping[str, Any]

    def check(self) -> None:
        """Refuse options that would be ignored otherwise."""
        toolchain = self.options.get("toolchain", "pip")
        if toolchain != "pip":
            raise Unusable(f'runtime option toolchain: got "{toolchain}", the stand-in language host takes pip')
        if self.options.get("typechecker"):
            raise Unusable("runtime option typechecker is not supported by the stand-in language host")
        unknown = sorted(set(self.options) - {"toolchain", "typechecker", "virtualenv"})
        if unknown:
            raise Unusable(f"runtime option {', '.join(unknown)}: not known; takes virtualenv and toolchain: pip")

    @property
    def virtualenv(self) -> Path | None:
        given = self.options.get("virtualenv")
        return self.root / str(given) if given else None

    @property
    def python(self) -> str:
        """The project's virtualenv, else $PULUMI_PYTHON_CMD, else the Python of this host."""
        self.check()
        if self.virtualenv is None:
            return os.environ.get("PULUMI_PYTHON_CMD") or sys.executable
        executable = self.virtualenv / "bin" / "python"
        if not executable.exists():
            raise Unusable(f"virtualenv {self.virtualenv} has no bin/python; make it with: pulumi install")
        return str(executable)

    def sdks(self) -> list[Sdk]:
        """The Pulumi SDKs that are installed and need a resource plug-in."""
        found = []
        for entry in json.loads(self._ask(_SDKS)):
            plugin = entry["plugin"]
            if plugin.get("resource"):
                name = plugin.get("name") or entry["name"].removeprefix("pulumi_").replace("_", "-")
                version = str(plugin.get("version") or entry["version"]).removeprefix("v")
                found.append(Sdk(name, version, plugin.get("server") or ""))
        return found

    def distributions(self) -> tuple[str, list[tuple[str, str]]]:
        """(Python's version, (name, version) of every installed package)."""
        document = json.loads(self._ask(_ALL))
        found = {(entry["name"], entry["version"]) for entry in document["found"]}
        return document["python"], sorted(found, key=lambda entry: entry[0].lower())

    def _ask(self, question: str) -> str:
        answer = subprocess.run(
            [self.python, "-c", question], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
        if answer.returncode != 0:
            raise Unusable(f"{self.python} does not run: {answer.stderr.strip()[-500:]}")
        return answer.stdout

    def install(self) -> Iterator[str]:
        """Make the virtualenv when it is named and missing, install the requirements; yields the output."""
        self.check()
        if self.virtualenv is not None and not (self.virtualenv / "bin" / "python").exists():
            yield f"making the virtualenv {self.virtualenv}\n"
            yield from _run([sys.executable, "-m", "venv", str(self.virtualenv)], self.root)
        requirements, project = self.root / "requirements.txt", self.root / "pyproject.toml"
        if requirements.exists():
            yield from _run([self.python, "-m", "pip", "install", "-r", str(requirements)], self.root)
        elif project.exists():
            yield from _run([self.python, "-m", "pip", "install", "-e", str(self.root)], self.root)
        else:
            yield "no requirements.txt and no pyproject.toml: nothing to install\n"


def _run(command: list[str], place: Path) -> Iterator[str]:
    with subprocess.Popen(
        command, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None
        yield from child.stdout
    if child.returncode != 0:
        raise Unusable(f"{' '.join(command)}: exit code {child.returncode}")
