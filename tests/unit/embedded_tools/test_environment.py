"""`make env`: a private random passphrase that is made once, and lines that a shell can take any number of times."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from embedded.tools import environment, paths


def test_the_passphrase_is_private_random_and_made_once(tmp_path: Path) -> None:
    first = environment.passphrase_file(tmp_path / "one")
    phrase = first.read_text()
    assert len(phrase) >= 40
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert environment.passphrase_file(tmp_path / "one").read_text() == phrase
    assert environment.passphrase_file(tmp_path / "two").read_text() != phrase
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["passphrase"]


def test_two_first_uses_at_once_agree(tmp_path: Path) -> None:
    """The phrase that encrypted a stack must never be replaced."""
    seen: list[str] = []
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait()
        seen.append(environment.passphrase_file(tmp_path).read_text())

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1


@pytest.mark.tools
def test_a_shell_can_take_the_lines_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PATH finds our pulumi and kubectl, and does not grow with the second `eval`; spaces in places are quoted."""
    state = tmp_path / "a state"
    monkeypatch.setenv("NGINX_MESH_STATE", str(state))
    once = environment.environment("dev")
    monkeypatch.setenv("PATH", once["PATH"])
    assert environment.environment("dev")["PATH"] == once["PATH"]
    script = (
        environment.shell_lines("dev")
        + '\ncommand -v pulumi; command -v kubectl\necho "$KUBECONFIG|$PULUMI_BACKEND_URL"'
    )
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.defpath})
    pulumi, kubectl, places = shell.stdout.splitlines()
    assert kubectl == str(paths.path_of("kubectl"))
    assert Path(pulumi).samefile(paths.path_of("pulumi"))
    assert Path(pulumi).with_name("pulumi-language-python").exists(), "the engine looks beside its own file"
    assert places == f"{state}/dev/kubeconfig|file://{state}/dev/pulumi-backend"
