"""`make fuzz`: search for inputs that break a decoder of the C module, with libFuzzer, one decoder after the other.

What was found interesting is kept in the cache, and searched from next time. An input that breaks a decoder is kept
too; its path is printed. Exit status 1 when there is one.
"""

import argparse
import os
import re
import sys
from pathlib import Path

from embedded.tools import paths
from tests.fuzz import coverage, programs
from tests.fuzz.seeds import SEEDS

# A document may be larger than this, but what is wrong with large ones is wrong with small ones.
LONGEST_BYTES = 65536
# A single input takes no longer, or that is a finding.
SLOWEST_SECONDS = 10
MEMORY_MIB = 2048
PRIORITY = 19
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+)")
_RUNS = re.compile(r"stat::number_of_executed_units:\s+(\d+)")


def search(made: programs.Programs, target: str, seconds: int, corpus: Path) -> bool:
    """Search for so long and print a line of what was seen; whether nothing broke."""
    programs.write_seeds(target, corpus / "inputs")
    programs.write_dictionary(target, corpus / "words")
    options = {
        "dict": corpus / "words",
        "max_total_time": seconds,
        "max_len": LONGEST_BYTES,
        "timeout": SLOWEST_SECONDS,
        "rss_limit_mb": MEMORY_MIB,
        "artifact_prefix": f"{corpus}/",
        "print_final_stats": 1,
        "verbosity": 1,
    }
    arguments = [*(f"-{name}={value}" for name, value in options.items()), str(corpus / "inputs")]
    done = programs.run(made.command(target, arguments, corpus), seconds + 120)
    coverage = _COVERAGE.findall(done.stdout)
    runs = _RUNS.search(done.stdout)
    inputs = len(list((corpus / "inputs").iterdir()))
    verdict = "nothing found" if done.returncode == 0 else f"FOUND, exit status {done.returncode}"
    edges = coverage[-1][0] if coverage else "0"
    print(
        f"{target}: {runs[1] if runs else 0} runs in {seconds} s, {edges} edges, {inputs} inputs, {verdict}", flush=True
    )
    if done.returncode:
        print(done.stdout[-6000:], file=sys.stderr, flush=True)
    return done.returncode == 0


def main() -> int:
    """Search in every target, or in those named; 0 when nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for each decoder")
    parser.add_argument(
        "--coverage", action="store_true", help="search nothing: tell which functions are never reached"
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(SEEDS)}; all")
    options = parser.parse_args()
    unknown = set(options.targets) - SEEDS.keys()
    if unknown:
        parser.error(f"got {', '.join(sorted(unknown))}, takes {', '.join(SEEDS)}")
    if options.coverage:
        print(coverage.report(paths.cache_root() / "fuzz"))
        return 0
    if os.geteuid() != 0:
        parser.error("the fuzzers run in a Debian root, which takes root")
    made = programs.ensure(engine=True)
    os.nice(PRIORITY)
    place = paths.cache_root() / "fuzz"
    well = [search(made, target, options.seconds, place / target) for target in options.targets or SEEDS]
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
