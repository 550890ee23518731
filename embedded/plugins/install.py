"""Puts both plug-ins where the engine looks for them, and nothing where an official one is.

The language host lies beside the `pulumi` program, the provider in the plug-in cache under its exact version; with
PULUMI_IGNORE_AMBIENT_PLUGINS the engine takes both without a warning. The tool cache stays untouched: `pulumi` gets a
second name (a hard link) in a directory of its own. Standard library only.
"""

import hashlib
import os
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HOST = "pulumi-language-python"
PROVIDER = "pulumi-resource-kubernetes"
PROVIDER_VERSION = "4.32.0"
_ROOT = Path(__file__).resolve().parent.parent.parent
_MARK = "# Stand-in plug-in of embedded/plugins."


@dataclass(frozen=True, slots=True)
class Installed:
    """Where things are now: ``directory`` goes first on PATH; the flags say whether ours stand in."""

    directory: Path
    own_host: bool
    own_provider: bool

    @property
    def environment(self) -> dict[str, str]:
        """Variables without which the engine warns or looks elsewhere."""
        return {
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }


def install(pulumi: Path, home: Path, cache: Path, python: str = sys.executable) -> Installed:
    """Make the engine at ``pulumi`` find a language host and a kubernetes provider.

    ``home`` is PULUMI_HOME, ``cache`` the place for the directory with `pulumi` and its host, ``python`` the interpreter
    that has this project's packages. Safe to run twice, and by two at once.
    """
    own_host = not _is_official(pulumi.resolve().with_name(HOST))
    directory = pulumi.parent if not own_host else _directory(pulumi, cache, python)
    if own_host:
        _link(pulumi.resolve(), directory / "pulumi")
        _write(directory / HOST, _launcher(python, "embedded.plugins.language"))
    return Installed(directory, own_host, _install_provider(home, python))


def _directory(pulumi: Path, cache: Path, python: str) -> Path:
    identity = pulumi.resolve().stat()
    key = f"{pulumi.resolve()} {identity.st_ino} {identity.st_size} {identity.st_mtime_ns} {python} {_ROOT}"
    return cache / f"pulumi-{hashlib.sha256(key.encode()).hexdigest()[:16]}" / "bin"


def _link(program: Path, name: Path) -> None:
    """The engine looks beside its real file, so that a symbolic link would lead it back into the tool cache."""
    name.parent.mkdir(parents=True, exist_ok=True)
    if name.exists() and (name.samefile(program) or name.stat().st_size == program.stat().st_size):
        return
    draft = Path(tempfile.mkdtemp(dir=name.parent)) / name.name
    try:
        try:
            os.link(program, draft)
        except OSError:  # another file system
            shutil.copy2(program, draft)
        draft.replace(name)
    finally:
        shutil.rmtree(draft.parent)


def _install_provider(home: Path, python: str) -> bool:
    place = home / "plugins" / f"resource-kubernetes-v{PROVIDER_VERSION}" / PROVIDER
    official = os.environ.get("PULUMI_K8S_PLUGIN", "")
    if official:
        path = Path(official).resolve()
        if not os.access(path, os.X_OK):
            raise FileNotFoundError(f'PULUMI_K8S_PLUGIN: got "{official}", takes the path of an executable')
        _write(place, f'#!/bin/sh\nexec {shlex.quote(str(path))} "$@"\n')
        return False
    if _is_official(place):
        return False
    users = Path.home() / ".pulumi" / "plugins" / place.parent.name / PROVIDER
    if users != place and _is_official(users):
        _write(place, f'#!/bin/sh\nexec {shlex.quote(str(users))} "$@"\n')
        return False
    _write(place, _launcher(python, "embedded.plugins.kubernetes"))
    return True


def _is_official(path: Path) -> bool:
    """Whether a real plug-in is there: an executable that is a binary and no launcher of this module."""
    if not os.access(path, os.X_OK) or path.is_dir():
        return False
    with open(path, "rb") as file:
        return not file.read(3).startswith(b"#!/")


def _launcher(python: str, module: str) -> str:
    # -P and -s: neither the program's directory nor the user's packages may shadow what the plug-in imports.
    start = f"import runpy, sys; sys.path.insert(0, {str(_ROOT)!r}); runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return f'#!/bin/sh\n{_MARK}\nexec {shlex.quote(python)} -P -s -c {shlex.quote(start)} "$@"\n'


def _write(path: Path, text: str) -> None:
    if path.is_file() and path.read_bytes() == text.encode():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(draft).chmod(0o755)
    Path(draft).replace(path)
