"""A lock of two real Go modules without dependencies, in a directory of its own; the store under test is another one."""

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from embedded.tools import ensure, lock
from embedded.tools.progress import Board
from embedded.tools.store import Store

LOCK = """
[[go]]
module = "hello"
seconds = 5
packages = 40
[[go.build]]
ldflags = "-X main.greeting=good-morning"
[go.build.binaries]
hello = "hello.example/greet/cmd/welcome"

[[go]]
module = "other"
seconds = 5
packages = 40
[[go.build]]
[go.build.binaries]
other = "hello.example/other/v2"
"""
GREET = 'package main\n\nvar greeting = "unset"\n\nfunc main() { println(greeting) }\n'
OTHER = 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("other") }\n'
DRIVER = """
import sys
from pathlib import Path
from embedded.tools import __main__ as command, lock
from embedded.tools.store import Store

tools = lock.load(Path(sys.argv[1]), Path(sys.argv[1])).select(sys.argv[3:])
sys.exit(command.make(tools, Store(Path(sys.argv[2]))))
"""


@dataclass(frozen=True)
class Workshop:
    """The small lock file, the store to fill, and how to do it."""

    lock_file: Path
    store: Store

    @property
    def locked(self) -> lock.Lock:
        return lock.load(self.lock_file, self.lock_file)

    def tool(self, name: str) -> lock.Tool:
        return self.locked.tools[name]

    async def ensure(self, *names: str) -> None:
        await self.make(self.locked.select(list(names)))

    async def make(self, tools: list[lock.Tool]) -> None:
        await ensure.ensure(tools, self.store, Board(io.StringIO()))

    def spawn(self, *names: str, go_cache: Path) -> subprocess.Popen[str]:
        """Another process that makes the tools, as the command line does, with a Go cache of its own (empty at first)."""
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(self.lock_file), str(self.store.root), *names],
            env={**os.environ, "GOCACHE": str(go_cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def open_workshop(directory: Path) -> Workshop:
    """Sources and lock of `hello` and `other`."""
    modules = directory / "lock" / "modules"
    write_module(modules / "hello", "hello.example/greet", "v1.2.3", {"cmd/welcome/main.go": GREET})
    write_module(modules / "other", "hello.example/other/v2", "v2.0.1", {"main.go": OTHER})
    lock_file = directory / "lock" / "lock.toml"
    lock_file.write_text(LOCK)
    return Workshop(lock_file, Store(directory / "store"))


def write_module(directory: Path, path: str, version: str, files: dict[str, str]) -> None:
    """A locked module as in embedded/tools/modules, whose only requirement is a directory beside it: no network."""
    source = directory / "source"
    for name, text in {"go.mod": f"module {path}\n\ngo 1.26\n", **files}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    (directory / "go.mod").write_text(
        f"module hello.example/tools\n\ngo 1.26\n\nrequire {path} {version}\n\nreplace {path} => ./source\n"
    )
    (directory / "go.sum").write_text("")
