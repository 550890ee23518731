"""`python -m embedded.plugins install [--pulumi PROGRAM] [--home DIRECTORY]`: install, then print the shell lines to use."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from embedded.plugins.install import install
from embedded.tools import paths
from embedded.tools.errors import ToolError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="embedded/plugins", description="Pulumi plug-ins for machines without the official ones."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("install", help="put the plug-ins where the engine looks")
    command.add_argument("--pulumi", type=Path, help="the pulumi program (default: the one of embedded/tools)")
    command.add_argument("--home", type=Path, help="PULUMI_HOME (default: the variable, else ~/.pulumi)")
    given = parser.parse_args()
    home = given.home or Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        done = install(given.pulumi or paths.path_of("pulumi"), home, paths.cache_root())
    except (ToolError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f'export PATH={shlex.quote(str(done.directory))}:"$PATH"')
    for name, value in {**done.environment, "PULUMI_HOME": str(home)}.items():
        print(f"export {name}={shlex.quote(value)}")
    for part, own in (("language host", done.own_host), ("kubernetes provider", done.own_provider)):
        print(f"# {part}: {'stand-in' if own else 'official'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
