"""From a snapshot's findings to results with codes. Pure (contract 10.analyze)."""

from mesh.compiler.assemble import Compiler
from mesh.ctl.analysis.codes import BY_REASON
from mesh.ctl.analysis.objects import Tables
from mesh.ctl.analysis.result import Place, Result


def analyze(tables: Tables) -> list[Result]:
    """Compile the objects as the controller would, and give every finding its code and place; errors first."""
    found = []
    for finding in Compiler().compile(tables.snapshot()).findings:
        code = BY_REASON[finding.reason]
        place = tables.places.get((finding.kind, finding.namespace, finding.name), Place(""))
        found.append(Result(code, finding.kind, finding.namespace, finding.name, finding.message, place))
    return sorted(found, key=lambda row: (row.code.level, row.code.number, row.subject, row.message))
