"""Read lock.toml into values: what each tool is, how it is made, and the digest that keys it in the cache."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded.tools.errors import ToolError

HERE = Path(__file__).resolve().parent
LOCK_FILE = HERE / "lock.toml"
BINARIES_FILE = HERE.parent.parent / "requirements" / "binaries.txt"
_MAJOR = re.compile(r"v\d+")


@dataclass(frozen=True, slots=True)
class GoBuild:
    """One `go build` call: flags, and for each tool its main package."""

    packages: dict[str, str]
    cgo: bool = False
    tags: tuple[str, ...] = ()
    ldflags: str = ""


@dataclass(frozen=True, slots=True)
class GoModule:
    """A directory with go.mod and go.sum and the builds made there; the unit of locking and of progress."""

    name: str
    directory: Path
    builds: tuple[GoBuild, ...]
    seconds: float
    packages: int


@dataclass(frozen=True, slots=True)
class Wheel:
    """A program inside a wheel; ``requirement`` is its locked line with hashes, ``member`` the program if it is no script."""

    distribution: str
    version: str
    requirement: str
    member: str = ""


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """A package of the machine's distribution and the file that shows that it is there."""

    package: str
    program: Path


@dataclass(frozen=True, slots=True)
class Tool:
    """A named binary; ``digest`` changes with everything that decides its content, and is empty for Debian packages.

    An optional tool is made only where it is named: neither a cluster nor a test needs it.
    """

    name: str
    version: str
    source: str
    origin: GoModule | Wheel | DebianPackage
    digest: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Lock:
    """All tools by name, in the order in which they are made."""

    tools: dict[str, Tool] = field(default_factory=dict)

    def select(self, names: list[str]) -> list[Tool]:
        """The named tools in lock order, or all that are not optional; raises ToolError for a name not in the lock."""
        unknown = sorted(set(names) - set(self.tools))
        if unknown:
            raise ToolError(f"no tool named {', '.join(unknown)}; the lock has {', '.join(sorted(self.tools))}")
        return [tool for name, tool in self.tools.items() if name in names or not (names or tool.optional)]


def executable_name(package: str) -> str:
    """The file name that `go build` gives to a main package: its last path element that is not a major version."""
    parts = package.split("/")
    return parts[-2] if _MAJOR.fullmatch(parts[-1]) else parts[-1]


def load(path: Path = LOCK_FILE, binaries: Path = BINARIES_FILE) -> Lock:
    """Read the lock; Go modules are looked up beside it in modules/. Raises ToolError when it contradicts itself."""
    document = tomllib.loads(path.read_text())
    tools: dict[str, Tool] = {}
    found = [
        *_go_tools(document.get("go", []), path.parent / "modules"),
        *_wheel_tools(document.get("wheel", []), binaries),
        *_debian_tools(document.get("debian", [])),
    ]
    for tool in found:
        if tool.name in tools:
            raise ToolError(f"{path.name}: two tools are named {tool.name}")
        tools[tool.name] = tool
    return Lock(tools)


def _go_tools(entries: list[dict[str, Any]], modules: Path) -> Iterator[Tool]:
    for entry in entries:
        directory = modules / entry["module"]
        builds = tuple(
            GoBuild(build["binaries"], build.get("cgo", False), tuple(build.get("tags", [])), build.get("ldflags", ""))
            for build in entry["build"]
        )
        module = GoModule(entry["module"], directory, builds, entry["seconds"], entry["packages"])
        sums = (directory / "go.mod").read_bytes() + (directory / "go.sum").read_bytes()
        for build in builds:
            if len({executable_name(package) for package in build.packages.values()}) < len(build.packages):
                raise ToolError(f"module {module.name}: two packages of one build make the same file name")
            for name, package in build.packages.items():
                digest = _digest(package, build.cgo, build.tags, build.ldflags, sums.decode())
                path, version = _required(directory / "go.mod", package)
                yield Tool(name, version, f"Go module {path}", module, digest, entry.get("optional", False))


def _required(go_mod: Path, package: str) -> tuple[str, str]:
    """Module and version that provide *package*: the longest required module path that is a prefix of it."""
    lines = [line.removeprefix("require").split("//")[0].split() for line in go_mod.read_text().splitlines()]
    pairs = [(words[0], words[1]) for words in lines if len(words) == 2 and words[1].startswith("v")]
    fitting = [pair for pair in pairs if package == pair[0] or package.startswith(pair[0] + "/")]
    if not fitting:
        raise ToolError(f"{go_mod.parent.name}/go.mod requires no module that holds {package}")
    return max(fitting, key=lambda pair: len(pair[0]))


def _wheel_tools(entries: list[dict[str, Any]], binaries: Path) -> Iterator[Tool]:
    blocks = re.split(r"\n(?=\S)", binaries.read_text()) if entries else []
    for entry in entries:
        start = entry["distribution"] + "=="
        requirement = next((block for block in blocks if block.startswith(start)), None)
        if requirement is None:
            raise ToolError(f"{binaries.name} has no line for {entry['distribution']}; run `make lock`")
        version = requirement.removeprefix(start).split()[0]
        wheel = Wheel(entry["distribution"], version, requirement, entry.get("member", ""))
        digest = _digest(entry["name"], requirement)
        yield Tool(entry["name"], version, f"PyPI {wheel.distribution}", wheel, digest, entry.get("optional", False))


def _debian_tools(entries: list[dict[str, Any]]) -> Iterator[Tool]:
    for entry in entries:
        package = DebianPackage(entry["name"], Path(entry["program"]))
        yield Tool(entry["name"], "", f"Debian {package.package}", package)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
