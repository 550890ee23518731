"""Make sure that tools are there: verify what is, build or fetch what is not, two builds at a time.

Safe to stop (what is finished stays, Go's cache keeps the rest) and to run twice at once (each Go module and each wheel
is made under a lock; who waits for it says so).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from embedded.tools import debian, go_build, wheels
from embedded.tools.errors import ToolError
from embedded.tools.lock import DebianPackage, GoModule, Tool, Wheel
from embedded.tools.progress import Board, Row
from embedded.tools.store import State, Store

PARALLEL_BUILDS = 2
LOCK_POLL_SECONDS = 0.5


async def ensure(tools: list[Tool], store: Store, board: Board) -> None:
    """Make every one of *tools* ready. Raises ToolError; what was finished before stays."""
    missing = await _missing(tools, store)
    drawing = asyncio.create_task(board.run())
    try:
        await _debian([tool for tool in missing if isinstance(tool.origin, DebianPackage)], store, board)
        async with asyncio.TaskGroup() as group:
            for tool in missing:
                if isinstance(tool.origin, Wheel):
                    group.create_task(_wheel(tool, tool.origin, store, board))
            await _start_builds(group, missing, store, board)
    except* ToolError as errors:
        raise ToolError("\n".join(dict.fromkeys(_messages(errors)))) from None
    finally:
        drawing.cancel()


async def _missing(tools: Iterable[Tool], store: Store) -> list[Tool]:
    """Those that are not there or not what was recorded; hashing runs in threads."""
    tools = list(tools)
    states = await asyncio.gather(*(asyncio.to_thread(store.state, tool, thorough=True) for tool in tools))
    return [tool for tool, state in zip(tools, states, strict=True) if state is not State.READY]


async def _debian(tools: list[Tool], store: Store, board: Board) -> None:
    if not tools:
        return
    row = board.add("Debian packages", 30)
    board.start(row, "installs")
    names = [tool.origin.package for tool in tools if isinstance(tool.origin, DebianPackage)]
    await debian.install(names)
    absent = [tool.name for tool in tools if store.state(tool, thorough=False) is not State.READY]
    if absent:
        raise ToolError(f"installed, but their programs are not where they belong: {', '.join(absent)}")
    board.finish(row, " ".join(names))


async def _wheel(tool: Tool, wheel: Wheel, store: Store, board: Board) -> None:
    row = board.add(tool.name, 5)
    async with _locked(store, wheel.distribution, board, row, "downloads"):
        if await _missing([tool], store):
            await wheels.fetch(tool, wheel, store)
        board.finish(row, f"{tool.version} from PyPI")


async def _start_builds(group: asyncio.TaskGroup, missing: list[Tool], store: Store, board: Board) -> None:
    modules = {tool.origin.name: tool.origin for tool in missing if isinstance(tool.origin, GoModule)}
    if not modules:
        return
    go = go_build.find_go()
    await go_build.check_version(go, list(modules.values()))
    slots = asyncio.Semaphore(PARALLEL_BUILDS)

    async def build(module: GoModule, row: Row) -> None:
        tools = [tool for tool in missing if tool.origin is module]
        async with slots, _locked(store, module.name, board, row, "compiles"):
            wanted = await _missing(tools, store)
            if wanted:
                await go_build.build(go, module, wanted, store, row)
            board.finish(row, ", ".join(f"{tool.name} {tool.version}" for tool in tools))

    for module in modules.values():
        group.create_task(build(module, board.add(module.name, module.seconds, module.packages)))


@contextlib.asynccontextmanager
async def _locked(store: Store, name: str, board: Board, row: Row, status: str) -> AsyncIterator[None]:
    """Hold the lock *name*; while another run has it, the row says who."""
    with store.try_lock(name) as take:
        if not take():
            board.start(row, f"{store.lock_owner(name)} is making it, waits")
            while not take():
                await asyncio.sleep(LOCK_POLL_SECONDS)
        board.start(row, status)
        yield


def _messages(group: BaseExceptionGroup[ToolError]) -> Iterable[str]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _messages(error)
        else:
            yield str(error)
