"""Which functions of the module the fuzzers reach: each target built with gcc's counters, run on its corpus."""

import gzip
import json
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz import programs
from tests.fuzz.seeds import SEEDS
from tests.nginx import source

Runs = Counter[tuple[str, str]]
"""How often each function of each file was called."""


def measure(target: str, inputs: list[Path], place: Path) -> Runs:
    """The functions of the module's files that *target* is linked with, and how often *inputs* reached them."""
    nginx = source.ensure()
    files = [*programs.sources(target, nginx), programs.HERE / "replay.c"]
    command = ["gcc", "--coverage", "-O0", *programs.options(nginx)]
    subprocess.run([*command, *map(str, files), "-o", str(place / target), *programs.LIBRARIES], check=True, cwd=place)
    subprocess.run([place / target, "0", "1", *map(str, inputs)], check=True, cwd=place)
    subprocess.run(
        ["gcov", "--json-format", *map(str, place.glob("*.gcda"))], check=True, cwd=place, capture_output=True
    )
    found: Runs = Counter()
    for path in place.glob("*.gcov.json.gz"):
        for file in json.loads(gzip.decompress(path.read_bytes()))["files"]:
            name = Path(file["file"])
            if name.name.startswith(("ngx_mesh_", "ngx_http_mesh_", "ngx_stream_mesh_")):
                found.update({(name.name, each["name"]): each["execution_count"] for each in file["functions"]})
    return found


def report(corpora: Path) -> str:
    """A line for each file: functions reached by any target, and the names of the others."""
    total: Runs = Counter()
    for target in SEEDS:
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            programs.write_seeds(target, place / "seeds")
            inputs = [*(place / "seeds").iterdir(), *(corpora / target / "inputs").glob("*")]
            total.update(measure(target, inputs, place))
    lines = []
    for file in sorted({file for file, _ in total}):
        functions = {function: runs for (found, function), runs in total.items() if found == file}
        never = sorted(function for function, runs in functions.items() if not runs)
        lines.append(
            f"{file}: {len(functions) - len(never)} of {len(functions)}" + "".join(f"\n  {name}" for name in never)
        )
    return "\n".join(lines)
