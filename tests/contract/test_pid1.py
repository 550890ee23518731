"""The sidecar container's first process: the agent may die without NGINX, and a drained agent ends the container."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.eventually import eventually
from tests.fakes.pid1 import compiled


@pytest.fixture(scope="session")
def pid1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program; warnings are errors."""
    return compiled(tmp_path_factory.mktemp("pid1"))


@pytest.fixture
def agent(tmp_path: Path, pid1: Path) -> Iterator["Agent"]:
    running = Agent(tmp_path, pid1)
    yield running
    running.end()


class Agent:
    """A program under pid1 that notes each start, and can leave a daemon behind as NGINX does."""

    def __init__(self, directory: Path, pid1: Path) -> None:
        self.directory = directory
        self.pid1 = pid1
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, body: str) -> subprocess.Popen[bytes]:
        program = self.directory / "agent.py"
        head = "import os, signal, sys, time, pathlib\nhere = pathlib.Path(__file__).parent\n"
        note = "with open(here / 'starts', 'a') as file: print(os.getpid(), file=file)\n"
        program.write_text(head + note + body)
        self.process = subprocess.Popen([self.pid1, sys.executable, str(program)])
        return self.process

    def starts(self) -> list[int]:
        path = self.directory / "starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        daemon = self.directory / "daemon"
        if daemon.exists() and Path(f"/proc/{daemon.read_text()}").exists():
            os.kill(int(daemon.read_text()), signal.SIGKILL)


SLEEP = "signal.pause()\n"
DAEMON = """
if not (here / 'daemon').exists():
    if os.fork() == 0:
        os.setsid()
        (here / 'daemon.tmp').write_text(str(os.getpid()))
        (here / 'daemon.tmp').rename(here / 'daemon')
        signal.pause()
signal.pause()
"""


@pytest.mark.spec("6.agent-death")
async def test_the_agent_is_started_again_and_its_daemon_lives(agent: Agent) -> None:
    """kill -9 on the agent: a new one runs, and the daemon that it left is untouched."""
    process = agent.run(DAEMON)
    await eventually((agent.directory / "daemon").exists, "the daemon")
    daemon = int((agent.directory / "daemon").read_text())
    os.kill(agent.starts()[0], signal.SIGKILL)
    await eventually(lambda: len(agent.starts()) == 2, "the second start")
    os.kill(daemon, 0)
    parent = Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()[1]
    assert int(parent) == process.pid


async def test_a_daemon_that_ends_is_reaped(agent: Agent) -> None:
    """No zombie stays behind, so that whoever looks sees that it has gone."""
    agent.run(DAEMON)
    await eventually((agent.directory / "daemon").exists, "the daemon")
    daemon = int((agent.directory / "daemon").read_text())
    os.kill(agent.starts()[0], signal.SIGKILL)
    await eventually(lambda: len(agent.starts()) == 2, "the second start")
    os.kill(daemon, signal.SIGKILL)
    await eventually(lambda: not Path(f"/proc/{daemon}").exists(), "the reaping")


@pytest.mark.parametrize(("body", "code"), [("sys.exit(0)", 0), ("sys.exit(2)", 2)])
def test_ends_that_are_final(agent: Agent, body: str, code: int) -> None:
    """Work done, and settings that no new start would mend."""
    assert agent.run(body).wait(30) == code
    assert len(agent.starts()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_is_passed_on_and_ends_it(agent: Agent, number: signal.Signals) -> None:
    """The agent hears the signal, and its exit code becomes the container's, whatever it is."""
    body = f"signal.signal({int(number)}, lambda *_: sys.exit(7))\n(here / 'up').touch()\n" + SLEEP
    process = agent.run(body)
    await eventually((agent.directory / "up").exists, "the handler")
    process.send_signal(number)
    assert process.wait(30) == 7
    assert len(agent.starts()) == 1


def test_a_command_that_does_not_exist(pid1: Path) -> None:
    """An image without the agent says so at once."""
    result = subprocess.run([pid1, "/nonexistent"], capture_output=True, timeout=30, check=False)
    assert (result.returncode, b"cannot run /nonexistent" in result.stderr) == (127, True)
    assert subprocess.run([pid1], capture_output=True, timeout=30, check=False).returncode == 2


async def test_the_agent_dies_with_its_parent(agent: Agent) -> None:
    """An agent never outlives the container's first process."""
    process = agent.run(SLEEP)
    await eventually(lambda: len(agent.starts()) == 1, "the start")
    child = agent.starts()[0]
    process.kill()
    process.wait(30)
    await eventually(lambda: _gone(child), "the agent's end")


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
