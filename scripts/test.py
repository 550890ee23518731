"""`make test`: the tools are built in the background while lint and unit tests run, then everything that needs them.

Runs everything even after a failure, so that one run tells all; stops its own cluster in any case. The last line is
`N passed, N failed`. With a stage's name as argument, runs that one (`make lint`, `make unit`, `make soak`).
"""

import argparse
import asyncio
import dataclasses
import os
import signal
import sys
from pathlib import Path

from embedded.tools import environment, paths
from scripts import stages
from scripts.stages import Stage, Tally, python

CLUSTER = os.environ.get("MESH_E2E_CLUSTER", "test")
NEED_MORE = "tools or nginx or pulumi or cluster or e2e or soak"


def pytest(name: str, markers: str, limit_seconds: float, *arguments: str, mesh: bool = False) -> Stage:
    """A pytest run over the tests that *markers* select; with *mesh*, in the environment of the test cluster."""
    report = paths.cache_root() / "results" / CLUSTER / f"{name}.xml"
    command = python("-m", "pytest", "-q", "--durations=5", "-m", markers, f"--junitxml={report}", *arguments)
    again = python("-m", "pytest", "-q", "-n", "0")
    return Stage(name, command, limit_seconds, report, _mesh_variables if mesh else dict, again)


def sanitized(name: str, limit_seconds: float, *places: str) -> Stage:
    """A pytest run over *places* on an NGINX that is built with sanitizers (tests/nginx/sanitized.py)."""
    stage = pytest(name, "nginx and not soak", limit_seconds, *places)
    return dataclasses.replace(stage, variables=lambda: {"MESH_SANITIZE": "1"})


def _mesh_variables() -> dict[str, str]:
    return environment.environment(CLUSTER)


LINT = (
    Stage("ruff", python("-m", "ruff", "check", "--quiet"), 120),
    Stage("ruff format", python("-m", "ruff", "format", "--quiet", "--check"), 120),
    Stage("import-linter", (str(paths.ROOT / ".venv/bin/lint-imports"), "--no-logo"), 120),
    Stage("mypy", python("-m", "mypy", "."), 900),
    Stage("spec", python("-m", "scripts.spec", "--quiet"), 120),
)
# Nothing that a unit test does depends on the machine: one that fails once is wrong.
UNIT = dataclasses.replace(pytest("unit", f"not ({NEED_MORE})", 900, "-n", "2"), again=())
TOOLS = Stage("tools", python("-m", "embedded.tools", "--ensure"), 3600)
# Two lanes at a time, in each the cheap ones first: the tests of Pulumi mostly wait. Each stage knows by its marker what it needs.
LANES = (
    (
        pytest("contract", "tools and not soak", 600),
        pytest("nginx", "nginx and not soak", 1200),
        sanitized("sanitized", 900, "tests/nginx/test_state.py", "tests/nginx/test_rotation.py"),
    ),
    (pytest("pulumi", "pulumi and not soak", 1200), pytest("cluster", "cluster and not soak", 900)),
)
SANITIZE = sanitized("sanitize", 3600, "tests/nginx")
UP = Stage("up", python("-m", "embedded.up", "--cluster", CLUSTER), 1500)
# After everything else on the mesh: it takes the mesh away, and with it any second run.
_REMOVAL = "tests/e2e/test_removal.py"
E2E = pytest("e2e", "e2e and not soak", 2400, f"--ignore={_REMOVAL}", mesh=True)
REMOVAL = dataclasses.replace(pytest("removal", "e2e and not soak", 900, _REMOVAL, mesh=True), again=())
SOAK = dataclasses.replace(
    pytest("soak", "e2e or soak", 6 * 3600, f"--ignore={_REMOVAL}", "--timeout=0"),
    variables=lambda: {**_mesh_variables(), "MESH_SOAK": "1"},
)
# Properties on new examples, in place of the same ones in each run (tests/conftest.py).
PROPERTIES = dataclasses.replace(
    pytest("properties", f"not ({NEED_MORE})", 3600, "-n", "2", "tests/property", "tests/oracle", "tests/unit"),
    variables=lambda: {"MESH_SOAK": "1"},
    again=(),
)
DOWN = Stage("down", python("-m", "embedded.down", "--cluster", CLUSTER), 300)


async def lint(tally: Tally) -> None:
    """The cheap checks."""
    for stage in LINT:
        await stages.run(stage, tally)


async def unit(tally: Tally) -> None:
    """What needs neither root nor tools."""
    await stages.run(UNIT, tally)


async def mesh(tally: Tally, then: Stage) -> None:
    """Bring up the mesh as `make up` does, run *then* on it, then what removes it, and take the cluster away."""
    try:
        if await stages.run(UP, tally):
            await stages.run(then, tally)
            await stages.give_a_second_run(tally, (then,))
            await stages.run(REMOVAL, tally)
    finally:
        await stages.run(DOWN, tally)


async def sanitize(tally: Tally) -> None:
    """All tests of the data plane with sanitizers."""
    if await stages.run(TOOLS, tally):
        await stages.run(SANITIZE, tally)


async def soak(tally: Tally) -> None:
    """The long runs on a mesh of their own."""
    await stages.run(PROPERTIES, tally)
    if await stages.run(TOOLS, tally):
        await mesh(tally, SOAK)


async def everything(tally: Tally) -> None:
    """All stages; a build that fails takes with it only what needs the tools."""
    tools = asyncio.create_task(stages.run(TOOLS, tally, prefix="tools | "))
    try:
        await lint(tally)
        await unit(tally)
        ready = await tools
    finally:
        tools.cancel()
    if ready:
        await machine(tally)
        await e2e(tally)


async def machine(tally: Tally) -> None:
    """What needs tools and root, but no mesh."""
    async with asyncio.TaskGroup() as lanes:
        for lane in LANES:
            lanes.create_task(_lane(lane, tally))
    await stages.give_a_second_run(tally, [stage for lane in LANES for stage in lane])


async def _lane(lane: tuple[Stage, ...], tally: Tally) -> None:
    for stage in lane:
        await stages.run(stage, tally, prefix=f"{stage.name} | ")


async def e2e(tally: Tally) -> None:
    """The cases on a mesh of their own."""
    await mesh(tally, E2E)


PLANS = {
    "all": everything,
    "lint": lint,
    "unit": unit,
    "machine": machine,
    "sanitize": sanitize,
    "e2e": e2e,
    "soak": soak,
}


async def main() -> int:
    """Run the plan named on the command line; 0 when nothing failed."""
    parser = argparse.ArgumentParser(description="Run the tests.")
    parser.add_argument("plan", nargs="?", default="all", choices=sorted(PLANS))
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    tally = Tally()
    try:
        await PLANS[parser.parse_args().plan](tally)
    except asyncio.CancelledError:
        tally.lines.append("stopped")
        tally.failed += 1
    report(tally)
    return 1 if tally.failed else 0


def report(tally: Tally) -> None:
    """Print the summary, and leave it in a file for .ci/run, which repeats it after make's own last words."""
    print(tally.summary(), flush=True)
    if os.environ.get("NGINX_MESH_SUMMARY"):
        Path(os.environ["NGINX_MESH_SUMMARY"]).write_text(tally.summary() + "\n")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
