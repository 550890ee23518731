"""One replica of the controller as a process of its own, so that its memory and CPU are its own: settings as JSON in argv."""

import asyncio
import json
import signal
import sys

from mesh.controller.main import Settings, run
from mesh.kit import log as logs


async def main(settings: Settings) -> int:
    """Run until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return await run(settings, stop)


if __name__ == "__main__":
    logs.configure("info", "json")
    sys.exit(asyncio.run(main(Settings(**json.loads(sys.argv[1])))))
