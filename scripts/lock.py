"""Write the hash-locked requirements files out of pyproject.toml; `make lock` runs it (`make lock UPGRADE=1` for newer ones).

One file per place that installs packages, so that an image holds what it imports and nothing else. uv resolves for the
Python of that place; pip installs with --require-hashes. Network: the configured package index.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Made by `make lock` from pyproject.toml; do not edit.\n"


@dataclass(frozen=True, slots=True)
class Lock:
    """One requirements file: which group of pyproject.toml, for which Python, with the project's own dependencies or not."""

    path: str
    python: str
    group: str = ""
    program: bool = False


LOCKS = (
    Lock("requirements.txt", "3.11", program=True),
    Lock("requirements/tests.txt", "3.11", "tests", program=True),
    Lock("requirements/controller.txt", "3.13", "controller"),
    Lock("requirements/sidecar.txt", "3.13", "sidecar"),
    Lock("requirements/cert_reloader.txt", "3.13", "cert-reloader"),
    Lock("requirements/sample.txt", "3.13", "sample"),
    Lock("requirements/binaries.txt", "3.11", "binaries"),
)


def compile_lock(lock: Lock, *, upgrade: bool) -> None:
    """Resolve one lock; the program's pins bind every other file, so that one package has one version everywhere."""
    command = ["uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--python-version", lock.python, "--output-file", lock.path]
    if upgrade:
        command.append("--upgrade")
    if lock.program:
        command.append("pyproject.toml")
    if lock.group:
        command += ["--group", f"pyproject.toml:{lock.group}"]
    if lock.path != LOCKS[0].path:
        command += ["--constraint", LOCKS[0].path]
    print(lock.path, flush=True)
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)
    target = ROOT / lock.path
    target.write_text(HEADER + target.read_text().removeprefix(HEADER))


def main() -> None:
    """Compile every lock."""
    parser = argparse.ArgumentParser(description="Write the hash-locked requirements files.")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions where pyproject.toml allows them")
    arguments = parser.parse_args()
    (ROOT / "requirements").mkdir(exist_ok=True)
    for lock in LOCKS:
        compile_lock(lock, upgrade=arguments.upgrade)


if __name__ == "__main__":
    main()
