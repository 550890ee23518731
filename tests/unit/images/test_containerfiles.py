"""What every image of ours promises (contract 2.processes), read from its Containerfile."""

import json
import re

import pytest

from images import catalogue, context

OURS = [image for image in catalogue.IMAGES if image.name.startswith("nginx-mesh-")]


def instructions(folder: str) -> list[str]:
    text = (context.ROOT / "images" / folder / "Containerfile").read_text()
    return re.sub(r"\\\n", "", text).splitlines()


def last(folder: str, word: str) -> str:
    return [line for line in instructions(folder) if line.startswith(word + " ")][-1].removeprefix(word + " ")


@pytest.mark.spec("2.processes")
@pytest.mark.parametrize("image", OURS, ids=lambda image: image.name)
def test_our_processes_are_unprivileged_but_init(image: catalogue.Image) -> None:
    assert last(image.folder, "USER") == ("0:0" if image.name == "nginx-mesh-init" else "2102:2102")


@pytest.mark.parametrize("image", OURS, ids=lambda image: image.name)
def test_image_x_runs_mesh_x_isolated(image: catalogue.Image) -> None:
    """-I: no variable of a pod and no working directory decides what Python imports; -B: the root is read-only."""
    entry = json.loads(last(image.folder, "ENTRYPOINT"))
    assert entry[-5:] == ["python3.13", "-I", "-B", "-m", image.processes[0]]


@pytest.mark.parametrize(
    "image", [image for image in catalogue.IMAGES if not image.needs_base], ids=lambda image: image.name
)
def test_binaries_start_from_nothing(image: catalogue.Image) -> None:
    assert last(image.folder, "FROM") == "scratch"
    assert json.loads(last(image.folder, "ENTRYPOINT"))[0].endswith("/" + image.tools[0])
