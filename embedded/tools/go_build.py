"""Build Go tools from their locked modules: go.sum checks every byte that is downloaded, nothing may change go.mod."""

import os
import re
import shutil
import time
from pathlib import Path

from embedded.tools import child
from embedded.tools.errors import ToolError
from embedded.tools.lock import GoBuild, GoModule, Tool, executable_name
from embedded.tools.progress import Row
from embedded.tools.store import Store

ATTEMPTS = 3
_PLACES = ("/usr/local/go/bin", "/usr/lib/go/bin")
_NETWORK = re.compile(r"dial tcp|i/o timeout|TLS handshake|connection re|unexpected EOF|50[0-9] |TOO_MANY|GOAWAY")
_PACKAGE = re.compile(r"[\w.~/-]+")
_GO_DIRECTIVE = re.compile(r"^go (\d+(?:\.\d+)*)", re.MULTILINE)


def find_go() -> Path:
    """The go program on PATH or in its usual place. Raises ToolError."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
    found = shutil.which("go", path=search)
    if found is None:
        raise ToolError("go is not installed: put Go 1.26 or newer on PATH or in /usr/local/go")
    return Path(found)


async def check_version(go: Path, modules: list[GoModule]) -> None:
    """Refuse a toolchain that is older than what the modules ask for; none is downloaded. Raises ToolError."""
    lines: list[str] = []
    await child.run([str(go), "env", "GOVERSION"], cwd=Path("/"), environment=environment(go), line=lines.append)
    found = "".join(lines).strip().removeprefix("go")
    for module in modules:
        needed = _GO_DIRECTIVE.findall((module.directory / "go.mod").read_text())[0]
        if _numbers(found) < _numbers(needed):
            raise ToolError(f"module {module.name} needs go {needed} or newer, {go} is {found}: install a newer Go")


def environment(go: Path) -> dict[str, str]:
    """The process environment of every go call. Go's own caches stay where the machine has them."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(go.parent), os.environ.get("PATH", os.defpath)]),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly -buildvcs=false -trimpath",
    }


async def build(go: Path, module: GoModule, tools: list[Tool], store: Store, row: Row) -> None:
    """Build *tools* of *module* into *store*; the caller holds the module's lock. Raises ToolError with go's words."""
    work = store.workspace(module.name)
    finished = _Progress(work.parent / f"{module.name}.packages", row)
    try:
        for group in module.builds:
            wanted = [tool for tool in tools if tool.name in group.packages]
            if wanted:
                started = time.monotonic()
                await _run(go, module, group, [group.packages[tool.name] for tool in wanted], work, store, finished)
                facts: dict[str, object] = {"seconds": round(time.monotonic() - started, 1)}
                for tool in wanted:
                    store.install(tool, work / "bin" / executable_name(group.packages[tool.name]), facts)
        finished.forget()
    finally:
        finished.keep()
        shutil.rmtree(work, ignore_errors=True)


async def _run(
    go: Path, module: GoModule, group: GoBuild, packages: list[str], work: Path, store: Store, finished: "_Progress"
) -> None:
    flags = ["-v", "-ldflags", f"-s -w {group.ldflags}".strip(), "-o", f"{work}/bin/"]
    if group.tags:
        flags += ["-tags", ",".join(group.tags)]
    (work / "tmp").mkdir(exist_ok=True)
    command = [str(go), "build", *flags, *packages]
    variables = {**environment(go), "CGO_ENABLED": "1" if group.cgo else "0", "GOTMPDIR": str(work / "tmp")}
    output: list[str] = []

    def line(text: str) -> None:
        output.append(text)
        finished.line(text)

    for attempt in range(1, ATTEMPTS + 1):
        output.clear()
        status = await child.run(command, cwd=module.directory, environment=variables, line=line)
        store.log_file(module.name).write_text("\n".join(output) + "\n")
        if status == 0:
            return
        faults = [text for text in output if not _is_progress(text)]
        if attempt == ATTEMPTS or not any(_NETWORK.search(text) for text in faults):
            raise ToolError(f"go build of {module.name} failed:\n" + "\n".join(faults[-30:]))


class _Progress:
    """Counts compiled packages over interrupted runs: go prints a package once, then has it in its cache."""

    def __init__(self, file: Path, row: Row) -> None:
        self._file = file
        self._row = row
        self._names: set[str] = set(file.read_text().split()) if file.exists() else set()
        row.done = len(self._names)
        row.start_share = row.share

    def line(self, text: str) -> None:
        if text.startswith("go: downloading "):
            self._row.status = f"downloads {text.split()[2]}"
        elif _PACKAGE.fullmatch(text):
            self._names.add(text)
            self._row.done = len(self._names)
            self._row.status = "compiles" if self._row.done < self._row.expected else "links"

    def forget(self) -> None:
        self._names.clear()

    def keep(self) -> None:
        if self._names:
            self._file.write_text("\n".join(self._names))
        else:
            self._file.unlink(missing_ok=True)


def _is_progress(text: str) -> bool:
    return text.startswith("go: downloading ") or _PACKAGE.fullmatch(text) is not None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
