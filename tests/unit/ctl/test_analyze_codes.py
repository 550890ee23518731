"""Every reason of the compiler has a code, and every code a page whose examples are what it says (contract 10.analyze)."""

import ast
import re
from pathlib import Path

import pytest

from mesh.ctl.analysis.codes import BY_REASON, CODES, PAGES, Code
from mesh.ctl.analysis.objects import Tables
from mesh.ctl.analysis.read import add_manifest
from mesh.ctl.analysis.run import analyze

ROOT = Path(__file__).parents[3]
COMPILER = ROOT / "mesh" / "compiler"
REASON = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def codes_of(*manifests: str) -> list[str]:
    tables = Tables()
    for number, text in enumerate([*examples(f"{PAGES}/README.md"), *manifests]):
        add_manifest(tables, text, f"{number}.yaml", "default")
    return [row.code.number for row in analyze(tables)]


@pytest.mark.spec("10.analyze")
@pytest.mark.parametrize("code", CODES, ids=lambda code: code.number)
def test_the_wrong_example_yields_the_code_and_the_right_one_nothing(code: Code) -> None:
    """In the shop of the first page."""
    wrong, right = examples(code.page)
    assert set(codes_of(wrong)) == {code.number}
    assert codes_of(right) == []


@pytest.mark.spec("10.analyze")
def test_every_page_is_a_code_and_the_first_page_lists_them() -> None:
    """No page is left over, none is missing."""
    pages = {path.stem for path in (ROOT / PAGES).glob("NSM*.md")}
    assert pages == {code.number for code in CODES}
    table = (ROOT / PAGES / "README.md").read_text()
    assert [(row[0], row[1]) for row in re.findall(r"\[(NSM\d{4})\]\(\1\.md\) \| (\w+)", table)] == [
        (code.number, code.reason) for code in CODES
    ]


@pytest.mark.spec("10.analyze")
def test_every_reason_of_the_compiler_has_one_code() -> None:
    """Words that name findings: constants of the compiler, and what it gives to Finding."""
    assert len({code.number for code in CODES}) == len(BY_REASON) == len(CODES)
    said = {
        value
        for path in COMPILER.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for value in _reasons(node)
    }
    assert said == set(BY_REASON)


def _reasons(node: ast.AST) -> list[str]:
    """CamelCase words that a Final constant holds, or that are handed to a function whose name has "finding" in it."""
    found: list[ast.expr | None] = []
    if isinstance(node, ast.AnnAssign) and isinstance(node.annotation, ast.Name) and node.annotation.id == "Final":
        found = [node.value]
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        found = [*node.args] if "finding" in name.lower() else []
    words = [one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return [word for word in words if REASON.fullmatch(word)]
