"""`make spec` sees every mark and refuses those that name nothing."""

from pathlib import Path

from scripts import spec

CONTRACT = """# The contract
## 4. Message bus
- **4.tls** The bus speaks TLS 1.3 only.
- **5.probes** In the wrong place.
- **4.tls** Again.
- **4 tls** Misspelt.
## 5. Injection
- **5.ports** Ports are numbers.
"""
MODULE = """import pytest
pytestmark = pytest.mark.spec("4.tls")

@pytest.mark.spec("5.ports", "5.probes")
async def test_ports() -> None: ...

@pytest.mark.spec(NAME)
class TestAll: ...
"""


def test_faults_of_the_document_are_named_with_their_line() -> None:
    known, faults = spec.clauses(CONTRACT)
    assert known["5.ports"] == "Ports are numbers."
    assert faults == [
        "contract.md line 4: 5.probes is in section 4",
        "contract.md line 5: 4.tls stands twice",
        'contract.md line 6: a clause looks like "- **5.probes** sentence"',
    ]


def test_marks_of_modules_classes_and_functions_are_found(tmp_path: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_one.py").write_text(MODULE)
    found, faults = spec.marks(tests)
    assert {(mark.clause, mark.test) for mark in found} == {
        ("4.tls", "tests/test_one.py"),
        ("5.ports", "tests/test_one.py::test_ports"),
        ("5.probes", "tests/test_one.py::test_ports"),
    }
    assert faults == ["tests/test_one.py::TestAll: a spec mark takes literals"]
