"""The sidecar container's first process, compiled for a test with warnings as errors."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "dataplane" / "pid1" / "pid1.c"
OPTIONS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wpedantic"]


def compiled(directory: Path) -> Path:
    """Compile into *directory* and return the program."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("no C compiler; install gcc and libc6-dev")
    output = directory / "nginx-mesh-pid1"
    subprocess.run([compiler, *OPTIONS, "-o", str(output), str(SOURCE)], check=True)
    return output
