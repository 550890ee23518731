"""Steps pass on what their programs say, name the one that failed, and leave no process behind."""

import asyncio
import sys
from pathlib import Path

import pytest

from embedded import steps
from embedded.steps import StepError


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


async def test_output_is_shown_as_it_comes() -> None:
    said: list[str] = []
    await steps.run("greeting", program("import sys; print('one'); print('two', file=sys.stderr)"), say=said.append)
    assert said[0] == "== greeting"
    assert sorted(said[1:3]) == ["   one", "   two"]
    assert said[3].startswith("   greeting took 0:")


async def test_a_failed_step_is_named_with_its_status() -> None:
    with pytest.raises(StepError, match="greeting: exit status 3"):
        await steps.run("greeting", program("raise SystemExit(3)"), say=lambda _: None)


async def test_only_standard_output_is_read() -> None:
    said: list[str] = []
    text = "import sys; print('{}'); print('progress', file=sys.stderr)"
    assert await steps.read(program(text), say=said.append) == "{}\n"
    assert said == ["   progress"]


async def test_variables_reach_the_program() -> None:
    read = await steps.read(program("import os; print(os.environ['KUBECONFIG'])"), {"KUBECONFIG": "/k"})
    assert read == "/k\n"


async def test_an_interrupted_step_ends_with_its_children(tmp_path: Path) -> None:
    """The child and the child's child are gone when the cancellation returns."""
    pids = tmp_path / "pids"
    inner = "import time\nwhile True: time.sleep(1)"
    outer = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {inner!r}])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}\\n')\n"
        "child.wait()"
    )
    task = asyncio.create_task(steps.run("endless", program(outer), say=lambda _: None))
    async with asyncio.timeout(30):
        while not pids.exists() or not pids.read_text().endswith("\n"):
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for pid in pids.read_text().split():
        async with asyncio.timeout(30):
            while running(pid):
                await asyncio.sleep(0.02)


def running(pid: str) -> bool:
    """Whether the process runs; one that ended and waits for its new parent to notice does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
