"""Laws of the tree that no linter knows: sizes, names, imports by room, nothing of the machine in the repository."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.closure import import_closure

ROOT = Path(__file__).resolve().parents[2]
MAXIMUM_LINES = 400
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
# Made by others or by a program: their length is not ours to choose.
UNCOUNTED = re.compile(r"(^requirements|go\.(mod|sum)$|\.json$|\.sha256$|^tests/golden/|^docs/|\.lock$)")

STDLIB = frozenset(sys.stdlib_module_names)
SIDECAR_WIDE = {"nats", "h2", "hpack", "hyperframe"}
# What each room of mesh may import beside the standard library and mesh itself (import-linter holds the order of rooms).
THIRD_PARTIES = {
    "api": {"pcre2"},
    "model": set[str](),
    "decide": {"pcre2"},
    "compiler": set[str](),
    "admission": set[str](),
    "kit": set[str](),
    "init": set[str](),
    "bus": {"nats"},
    "spiffe": {"h2", "hpack", "hyperframe"},
    "sidecar": set[str](),
    "cert_reloader": set[str](),
    "kube": {"kubernetes", "msgspec", "aiohttp"},
    "controller": {"msgspec", "aiohttp"},
    "ctl": {"click", "rich", "kubernetes", "pulumi", "ruamel", "urllib3", "yaml", "msgspec", "aiohttp"},
}


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for path in listed.splitlines() if (ROOT / path).is_file()]


def text_of(path: str) -> str:
    return (ROOT / path).read_bytes().decode(errors="replace")


def imports(path: Path) -> Iterator[str]:
    """Top-level names of the packages that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_files_are_short() -> None:
    sizes = {path: len(text_of(path).splitlines()) for path in tracked() if not UNCOUNTED.search(path)}
    assert {path: size for path, size in sizes.items() if size > MAXIMUM_LINES} == {}


def test_modules_are_named_for_what_they_are_about() -> None:
    named = [path for path in tracked() if path.endswith(".py") and Path(path).stem in FORBIDDEN_NAMES]
    assert named == []


def test_no_machine_path_in_the_repository() -> None:
    """A path of the machine that this was written on is of no use elsewhere."""
    places = re.compile("/work" + r"/main|/work" + r"/shared|/root/" + r"(build|brief|go|\.cache)|/home/\w+/(?!\.)")
    found = [path for path in tracked() if places.search(text_of(path).replace("/home/someone/", ""))]
    assert found == []


def test_no_package_index_is_named() -> None:
    """Where packages come from is the machine's configuration: a mirror must work without an edit."""
    index = re.compile(r"--(extra-)?index-url|--trusted-host|--find-links|^registry\s*=\s*http", re.MULTILINE)
    files = [path for path in tracked() if path.startswith("requirements") or path.endswith(("Containerfile", ".toml"))]
    assert [path for path in files if index.search(text_of(path))] == []


def test_every_room_has_its_line_in_the_table() -> None:
    rooms = {path.parent.name for path in (ROOT / "mesh").glob("*/__init__.py")}
    assert rooms == set(THIRD_PARTIES)


@pytest.mark.parametrize("room", sorted(THIRD_PARTIES))
def test_rooms_import_only_what_their_image_has(room: str) -> None:
    """The sidecar's rooms run with nats-py and h2 alone; the init container's with nothing."""
    found = {name for path in (ROOT / "mesh" / room).rglob("*.py") for name in imports(path)}
    assert found - STDLIB - {"mesh"} <= THIRD_PARTIES[room]


@pytest.mark.parametrize("process", ["mesh.sidecar", "mesh.init", "mesh.cert_reloader"])
def test_what_runs_beside_an_application_reads_no_pattern(process: str) -> None:
    """Only NGINX compiles patterns there; their images have no PCRE2 for Python."""
    found = {name for path in import_closure(ROOT, process) for name in imports(ROOT / path)}
    assert "pcre2" not in found


def test_embedded_tools_need_no_package() -> None:
    """They run before any virtual environment exists."""
    found = {name for path in (ROOT / "embedded" / "tools").glob("*.py") for name in imports(path)}
    assert found - STDLIB == {"embedded"}


def test_only_the_program_and_its_stacks_read_configuration() -> None:
    """A component that reads pulumi.Config cannot be used twice with different settings."""
    sources = {path: path.read_text() for path in (ROOT / "components").rglob("*.py")}
    assert [
        path.name
        for path, source in sources.items()
        if re.search(r"pulumi\.Config\b|import Config\b|runtime import config", source)
    ] == []


def test_every_top_level_package_is_under_import_linter() -> None:
    """`mesh`, `components` and `stacks` have laws of their own; the others are developers' programs."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert packages - {"embedded", "images", "samples", "scripts", "tests"} == set(settings["root_packages"])


def test_tests_wait_for_something_to_be_seen() -> None:
    """A sleep stands in a loop that looks at something; a bare one is a guess about time."""
    bare = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for line in bare_sleeps(ast.parse(path.read_text()))
    ]
    assert bare == []


def bare_sleeps(tree: ast.Module) -> list[int]:
    """Lines of `asyncio.sleep(x)` and `time.sleep(x)` outside of any loop; `sleep(0)` only yields."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.While | ast.For | ast.AsyncFor)]
    inside = {id(node) for loop in loops for node in ast.walk(loop)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if ast.unparse(call.func) in {"asyncio.sleep", "time.sleep"}
        and ast.unparse(call.args[0]) != "0"
        and id(call) not in inside
    ]


def test_the_check_for_bare_sleeps_sees_one() -> None:
    source = "import time\ntime.sleep(1)\nwhile True:\n    time.sleep(1)\n"
    assert bare_sleeps(ast.parse(source)) == [2]
