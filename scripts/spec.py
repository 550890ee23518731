"""`make spec`: the clauses of docs/reference/contract.md beside the tests that prove them.

Reads the sources, runs nothing. Fails on a mark that names no clause, on a clause that stands twice or in the wrong
section, and on a mark that is not a literal.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "docs" / "reference" / "contract.md"
_SECTION = re.compile(r"## (\d+)\. ")
_CLAUSE = re.compile(r"- \*\*((\d+)\.[a-z0-9-]+)\*\* \S")


@dataclass(frozen=True, slots=True)
class Mark:
    """A test (or all tests of a class or module) that says which clause it proves."""

    clause: str
    test: str


def clauses(text: str) -> tuple[dict[str, str], list[str]]:
    """The sentence of every clause by its id, and what is wrong with the document."""
    found: dict[str, str] = {}
    faults: list[str] = []
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if heading := _SECTION.match(line):
            section = heading[1]
        elif clause := _CLAUSE.match(line):
            if clause[1] in found:
                faults.append(f"contract.md line {number}: {clause[1]} stands twice")
            if clause[2] != section:
                faults.append(f"contract.md line {number}: {clause[1]} is in section {section or 'none'}")
            found[clause[1]] = line.split("** ", 1)[1]
        elif line.startswith("- **"):
            faults.append(f'contract.md line {number}: a clause looks like "- **5.probes** sentence"')
    return found, faults


def marks(tests: Path) -> tuple[list[Mark], list[str]]:
    """Every use of `pytest.mark.spec` below *tests*, and those that cannot be read."""
    found: list[Mark] = []
    faults: list[str] = []
    for path in sorted(tests.rglob("*.py")):
        place = path.relative_to(tests.parent).as_posix()
        for owner, call in _calls(ast.parse(path.read_text())):
            test = f"{place}::{owner}" if owner else place
            for argument in call.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    found.append(Mark(argument.value, test))
                else:
                    faults.append(f"{test}: a spec mark takes literals")
    return found, faults


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Spec marks with the name of what they decorate; empty for `pytestmark` of a module."""
    owned: set[ast.Call] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                if _is_spec(decorator):
                    assert isinstance(decorator, ast.Call)
                    owned.add(decorator)
                    yield node.name, decorator
    for node in ast.walk(tree):
        if _is_spec(node) and node not in owned:
            assert isinstance(node, ast.Call)
            yield "", node


def _is_spec(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.spec"


def main() -> int:
    """Print the table and what is wrong; 1 when something is."""
    parser = argparse.ArgumentParser(description="Clauses of the contract and the tests that prove them.")
    parser.add_argument("--quiet", action="store_true", help="print faults and the count only")
    quiet = parser.parse_args().quiet
    known, faults = clauses(CONTRACT.read_text())
    used, unreadable = marks(ROOT / "tests")
    faults += unreadable
    faults += [f"{mark.test}: no clause {mark.clause} in contract.md" for mark in used if mark.clause not in known]
    proven = {mark.clause for mark in used}
    for clause, sentence in known.items():
        if not quiet:
            print(f"{clause}  {sentence}")
            print("\n".join(f"    {mark.test}" for mark in used if mark.clause == clause) or "    (no test)")
    print(f"{len(known)} clauses, {len(known.keys() & proven)} proven by {len(used)} marks")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
