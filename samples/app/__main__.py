"""Command line of the image.

``server``; ``client`` (calls for ever), ``call``, ``talk``, ``grpc`` (once), ``load`` (open loop), ``hold`` (long streams).
"""

import argparse
import asyncio
import sys

from samples.app import client, hold, load, server, tcp


def main() -> int:
    """Run one subcommand; its return value is the exit status."""
    parser = argparse.ArgumentParser(prog="python -m samples.app", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (server, client, load, tcp, hold):
        module.add_commands(commands)
    if "grpc" in sys.argv[1:2]:  # its library is slow to import, and the other commands need none
        from samples.app import grpc_echo

        grpc_echo.add_commands(commands)
    options = parser.parse_args()
    return int(asyncio.run(options.run(options)))


if __name__ == "__main__":
    sys.exit(main())
