"""`python embedded/tools --list | --ensure [NAME ...] | --path NAME | --environment`: the pinned binaries from the shell."""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

if not __package__:  # started as `python embedded/tools`
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from embedded.tools import debian, ensure, environment, lock, paths
from embedded.tools.errors import ToolError
from embedded.tools.lock import DebianPackage
from embedded.tools.progress import Board
from embedded.tools.store import Store


def main() -> int:
    """Do what the command line asks; the exit status is 130 after an interruption, 1 after an error."""
    parser = argparse.ArgumentParser(prog="embedded/tools", description="The pinned binaries of the embedded default.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--list", action="store_true", help="name, version, state and source of every tool")
    action.add_argument("--ensure", nargs="*", metavar="NAME", help="build or fetch these tools, or all of them")
    action.add_argument("--path", metavar="NAME", help="print where a finished tool is")
    action.add_argument("--environment", metavar="CLUSTER", help="print shell lines that set PATH, KUBECONFIG, ...")
    arguments = parser.parse_args()
    try:
        if arguments.list:
            print_list()
        elif arguments.path:
            print(paths.path_of(arguments.path))
        elif arguments.environment:
            print(environment.shell_lines(arguments.environment))
        else:
            return make(lock.load().select(arguments.ensure), paths.store())
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def make(tools: list[lock.Tool], store: Store) -> int:
    """Make *tools* ready in *store* and return the exit status; SIGINT and SIGTERM end the builds with their compilers."""
    try:
        asyncio.run(_run_until_stopped(tools, store))
    except asyncio.CancelledError:
        print("stopped; what is finished stays, run again to go on", file=sys.stderr)
        return 130
    return 0


async def _run_until_stopped(tools: list[lock.Tool], store: Store) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await ensure.ensure(tools, store, Board(sys.stderr))


def print_list() -> None:
    """One line per tool."""
    tools = lock.load().tools.values()
    store = paths.store()
    installed = debian.versions([tool.origin.package for tool in tools if isinstance(tool.origin, DebianPackage)])
    rows = [
        (tool.name, tool.version or installed.get(tool.name, "-"), store.state(tool, thorough=True).value, tool.source)
        for tool in tools
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip())


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
