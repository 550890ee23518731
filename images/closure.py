"""The modules of this repository that a process imports, directly or through others: what its image must hold.

Reads source with ``ast`` and runs none of it. Imports inside functions count: they happen at run time, too.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

OWN_PACKAGES = ("mesh", "samples")


def import_closure(root: Path, *processes: str) -> tuple[Path, ...]:
    """Return the files under *root* that ``python -m`` any of *processes* can import, relative to *root* and sorted.

    Raises FileNotFoundError when one of them cannot be run.
    """
    for process in processes:
        place = root.joinpath(*process.split("."))
        if not place.with_suffix(".py").is_file() and not (place / "__main__.py").is_file():
            raise FileNotFoundError(f"{process} is no module under {root} that python -m could run")
    found: set[Path] = set()
    waiting = [name for process in processes for name in (*_with_parents(process), f"{process}.__main__")]
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for file in _files_of(root, module):
            found.add(file.relative_to(root))
            waiting.extend(_imports(file, module, file.name == "__init__.py"))
    return tuple(sorted(found))


def _files_of(root: Path, module: str) -> Iterator[Path]:
    """Yield the file of *module*; a dotted name that is an attribute of a module has none."""
    place = root.joinpath(*module.split("."))
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            yield file


def _imports(file: Path, module: str, is_package: bool) -> Iterator[str]:
    """Yield the dotted names of this repository that *file* imports, and the packages above them."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_bytes(), filename=str(file))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            names = [source, *(f"{source}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] in OWN_PACKAGES:
                yield from _with_parents(name)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])
