"""Tags: equal inputs give equal tags, any changed input another; what is not source is no input."""

from pathlib import Path

import pytest

from images import catalogue, context
from images.catalogue import Image

IMAGE = Image("thing", "thing", "a thing", processes=("mesh.run",), trees=("native",), requirements="thing")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in {
        "images/thing/Containerfile": "FROM scratch",
        "mesh/__init__.py": "",
        "mesh/run.py": "import mesh.part",
        "mesh/part.py": "x = 1",
        "mesh/other.py": "",
        "native/module.c": "int x;",
        "requirements/thing.txt": "a==1",
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def tag(root: Path, base: str = "b", tools: dict[str, Path] | None = None) -> str:
    return context.digest(IMAGE, context.source_files(IMAGE, root), tools or {}, base)


def test_equal_inputs_give_equal_tags(checkout: Path) -> None:
    assert tag(checkout) == tag(checkout)
    assert len(tag(checkout)) == context.TAG_LENGTH


@pytest.mark.parametrize(
    "file", ["images/thing/Containerfile", "mesh/run.py", "mesh/part.py", "native/module.c", "requirements/thing.txt"]
)
def test_every_input_counts(checkout: Path, file: str) -> None:
    before = tag(checkout)
    (checkout / file).write_text((checkout / file).read_text() + "\n")
    assert tag(checkout) != before


def test_base_tools_and_modes_count(checkout: Path) -> None:
    tool = checkout / "tool"
    tool.write_text("1")
    tags = {tag(checkout), tag(checkout, base="c"), tag(checkout, tools={"tool": tool})}
    (checkout / "native/module.c").chmod(0o755)
    assert len(tags | {tag(checkout)}) == 4


@pytest.mark.parametrize("file", ["mesh/other.py", "native/module.o", "native/.hidden", "native/__pycache__/a.pyc"])
def test_what_is_no_input_does_not_count(checkout: Path, file: str) -> None:
    before = tag(checkout)
    (checkout / file).parent.mkdir(exist_ok=True)
    (checkout / file).write_text("changed")
    assert tag(checkout) == before


def test_the_context_holds_exactly_the_inputs(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    tool = checkout / "tool"
    tool.write_text("1")
    image = Image("thing", "thing", "a thing", processes=("mesh.run",), trees=("native",))
    target = tmp_path_factory.mktemp("context")
    context.prepare(image, context.source_files(image, checkout), {"tool": tool}, target)
    found = {file.relative_to(target).as_posix() for file in target.rglob("*") if file.is_file()}
    assert found == {
        *("Containerfile", "native/module.c", "bin/tool"),
        *("app/mesh/__init__.py", "app/mesh/run.py", "app/mesh/part.py"),
    }
    assert (target / "bin/tool").stat().st_mode & 0o777 == 0o755


def test_an_empty_tree_is_named(checkout: Path) -> None:
    (checkout / "native/module.c").unlink()
    with pytest.raises(context.ContextError, match="native"):
        context.source_files(IMAGE, checkout)


def test_names_are_looked_up_in_the_catalogue() -> None:
    assert catalogue.named(()) == catalogue.IMAGES
    assert [image.name for image in catalogue.named(("nats-server", "nginx-mesh-init"))] == [
        "nginx-mesh-init",
        "nats-server",
    ]
    with pytest.raises(KeyError, match="no image named nonsense"):
        catalogue.named(("nonsense",))


def test_each_image_has_its_containerfile_and_lock() -> None:
    for image in catalogue.IMAGES:
        assert (context.ROOT / "images" / image.folder / "Containerfile").is_file(), image.name
        if image.requirements:
            assert (context.ROOT / "requirements" / f"{image.requirements}.txt").is_file(), image.name
