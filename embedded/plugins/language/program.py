"""Runs one Pulumi program. Started as a file in the program's own Python, so it imports pulumi and nothing of ours.

Exit codes: 0 done, 32 failed and the engine has been told, anything else failed.
"""

import argparse
import asyncio
import logging
import os
import runpy
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pulumi
import pulumi.runtime

_REPORTED = 32


def main() -> int:
    given = _arguments()
    _leave_with_host(given.lifeline)
    _configure(given)
    target = Path(given.program)
    sys.argv = [str(target), *given.arguments]
    # `runpy` of a directory runs its __main__.py and puts the directory first on the path, as `python DIRECTORY` does.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Every output that waits for the engine holds a thread.
    pool = ThreadPoolExecutor(max_workers=max(given.parallel, 1) * 4)
    loop.set_default_executor(pool)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run(target)))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return _REPORTED
    except Exception:  # noqa: BLE001 - the program is somebody else's: whatever it raises is told, with its trace
        pulumi.log.error(f"Program failed with an unhandled exception:\n{traceback.format_exc()}")
        return _REPORTED
    finally:
        pool.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _run(target: Path) -> None:
    runpy.run_path(str(target), run_name="__main__")


def _configure(given: argparse.Namespace) -> None:
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            monitor=given.monitor,
            engine=given.engine,
            project=given.project,
            stack=given.stack,
            parallel=given.parallel,
            dry_run=given.dry_run == "true",
            organization=given.organization,
            root_directory=given.root_directory,
        )
    )
    if given.pwd:
        os.chdir(given.pwd)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("project", "root-directory", "stack", "dry-run", "pwd", "monitor", "engine", "organization"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("program")
    parser.add_argument("arguments", nargs="*")
    return parser.parse_args()


def _leave_with_host(lifeline: int) -> None:
    """The host holds the other end of this pipe; when it dies, however it dies, the program ends too."""

    def watch() -> None:
        while os.read(lifeline, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
