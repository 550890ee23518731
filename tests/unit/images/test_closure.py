"""What goes into an image: the import closure of its process, found without running anything."""

from pathlib import Path

import pytest

from images.closure import import_closure


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        file = root / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        for parent in list(file.relative_to(root).parents)[:-1]:
            (root / parent / "__init__.py").touch()


def closure(root: Path, *processes: str) -> list[str]:
    return [file.as_posix() for file in import_closure(root, *processes)]


def test_imports_of_every_form_are_followed(tmp_path: Path) -> None:
    write(
        tmp_path,
        mesh__run__main="import mesh.a.one\nfrom mesh.a import two\nfrom mesh.a.three import name\nimport os",
        mesh__a__one="def late():\n    from mesh.b import late",
        mesh__a__two="from . import four",
        mesh__a__three="name = 1",
        mesh__a__four="",
        mesh__b__late="",
        mesh__c__never="",
    )
    found = closure(tmp_path, "mesh.run.main")
    assert found == sorted(
        [
            *("mesh/__init__.py", "mesh/run/__init__.py", "mesh/a/__init__.py", "mesh/b/__init__.py"),
            *(
                "mesh/run/main.py",
                "mesh/a/one.py",
                "mesh/a/two.py",
                "mesh/a/three.py",
                "mesh/a/four.py",
                "mesh/b/late.py",
            ),
        ]
    )


def test_a_package_brings_its_main_module(tmp_path: Path) -> None:
    write(tmp_path, mesh__run____main="")
    (tmp_path / "mesh/run/__main__.py").write_text("from mesh.run import x")
    (tmp_path / "mesh/run/x.py").write_text("")
    assert "mesh/run/x.py" in closure(tmp_path, "mesh.run")


def test_a_process_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"mesh\.none"):
        import_closure(tmp_path, "mesh.none")
