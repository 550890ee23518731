"""The cache of finished tools: one directory each, made elsewhere and renamed into place, with its checksum recorded."""

import contextlib
import enum
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from embedded.tools.errors import ToolError
from embedded.tools.lock import DebianPackage, Tool

MANIFEST = "manifest.json"


class State(enum.StrEnum):
    """What the store knows of a tool."""

    READY = "ready"
    MISSING = "missing"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Store:
    """Finished tools under ``root``/<name>-<digest>/; locks, logs and unfinished work beside them."""

    root: Path

    def directory(self, tool: Tool) -> Path:
        """Where *tool* is or will be; its content never changes, because everything that decides it is in the name."""
        return self.root / f"{tool.name}-{tool.digest}"

    def path(self, tool: Tool) -> Path:
        """The program file of *tool*, finished or not."""
        return tool.origin.program if isinstance(tool.origin, DebianPackage) else self.directory(tool) / tool.name

    def state(self, tool: Tool, *, thorough: bool) -> State:
        """Compare *tool* with what was recorded when it was made.

        Thorough hashes the file; otherwise it is hashed only if its size or time stamp is not the recorded one.
        """
        path = self.path(tool)
        if isinstance(tool.origin, DebianPackage):
            return State.READY if path.exists() else State.MISSING
        try:
            manifest = json.loads((path.parent / MANIFEST).read_bytes())
            status = path.stat()
        except FileNotFoundError:
            return State.MISSING
        except ValueError:
            return State.CORRUPT
        recorded = (manifest.get("size"), manifest.get("mtime_ns"))
        if not thorough and recorded == (status.st_size, status.st_mtime_ns):
            return State.READY
        return State.READY if manifest.get("sha256") == checksum(path) else State.CORRUPT

    def install(self, tool: Tool, built: Path, facts: dict[str, object]) -> None:
        """Move the file *built* into the store together with a manifest; whole or not at all."""
        final = self.directory(tool)
        staging = self.workspace(f"install-{tool.name}-{os.getpid()}")
        target = staging / tool.name
        shutil.move(built, target)
        target.chmod(0o755)
        status = target.stat()
        manifest = {
            "name": tool.name,
            "version": tool.version,
            "source": tool.source,
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "sha256": checksum(target),
            **facts,
        }
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        if final.exists():
            shutil.rmtree(final)
        staging.rename(final)

    def workspace(self, name: str) -> Path:
        """A new empty directory for unfinished work; what an interrupted run left under the same name is removed."""
        path = self.root / "work" / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def log_file(self, name: str) -> Path:
        """Where the output of the last build of *name* is kept."""
        path = self.root / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextlib.contextmanager
    def try_lock(self, name: str) -> Iterator[Callable[[], bool]]:
        """Yield a function that tries to take the lock *name* of this cache; it is freed at the end, or by death."""
        path = self.root / "locks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:

            def take() -> bool:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                file.truncate(0)
                file.write(f"{os.getpid()} {time.time():.0f}")
                file.flush()
                return True

            yield take

    def lock_owner(self, name: str) -> str:
        """Who holds the lock *name*, for a message: process id and since when."""
        words = (self.root / "locks" / name).read_text().split()
        if len(words) != 2:
            return "another run"
        return f"another run (process {words[0]}, for {time.time() - float(words[1]):.0f} s)"


def checksum(path: Path) -> str:
    """SHA-256 of a file in hex. Raises ToolError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ToolError(f"{path}: cannot be read: {error.strerror}") from error
