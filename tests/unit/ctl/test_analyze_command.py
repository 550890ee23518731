"""`meshctl analyze` from the shell: sources, forms, exit status (contract 10.analyze)."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from mesh.ctl.analysis.codes import CODES
from mesh.ctl.main import cli

SPLIT = """\
# A comment before the first document.
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
---

apiVersion: split.smi-spec.io/v1alpha3
kind: TrafficSplit
metadata: {name: canary, namespace: default}
spec: {service: web, backends: [{service: web-v2, weight: 1}]}
"""
GOOD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"
CYCLE = """\
{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "split.smi-spec.io/v1alpha3", "kind": "TrafficSplit", "metadata": {"name": "one"},
   "spec": {"service": "a", "backends": [{"service": "b", "weight": 1}]}},
  {"apiVersion": "split.smi-spec.io/v1alpha3", "kind": "TrafficSplit", "metadata": {"name": "two"},
   "spec": {"service": "b", "backends": [{"service": "a", "weight": 1}]}}]}
"""


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, ["analyze", *arguments], input=stdin)


@pytest.mark.spec("10.analyze")
@pytest.mark.parametrize(
    ("text", "fail_on", "status"),
    [
        (GOOD, "warning", 0),
        (SPLIT, "warning", 1),
        (SPLIT, "error", 0),
        (CYCLE, "error", 1),
        (CYCLE, "never", 0),
        ("{", "warning", 2),
        ("a: [", "warning", 2),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: [1]}\n", "warning", 2),
        ("apiVersion: v1\nkind: Service\nmetadata: text\n", "warning", 2),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n", "warning", 2),
    ],
)
def test_exit_status(text: str, fail_on: str, status: int) -> None:
    """0 for nothing that counts, 1 for a finding of the level, 2 for what cannot be read, which is named."""
    done = run("-f", "-", "--fail-on", fail_on, stdin=text)
    assert done.exit_code == status, done.output
    if status == 2:
        assert "Error: -" in done.output


@pytest.mark.spec("10.analyze")
def test_a_file_that_is_not_there_and_a_wrong_option_are_usage_errors(tmp_path: Path) -> None:
    """So that a pipeline does not take them for findings."""
    assert run("-f", str(tmp_path / "none.yaml")).exit_code == 2
    assert run("-o", "xml").exit_code == 2


@pytest.mark.spec("10.analyze")
def test_a_directory_is_read_as_a_whole_and_findings_name_file_and_line(tmp_path: Path) -> None:
    """What one file lacks another has; the line is where the document begins."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "split.yaml").write_text(SPLIT)
    (tmp_path / "notes.txt").write_text("{")
    done = run("-f", str(tmp_path), "-o", "json")
    document = json.loads(done.output)
    assert document["schema"] == "nginx-mesh/analyze/v1"
    [found] = document["findings"]
    assert (found["code"], found["reason"], found["level"]) == ("NSM0101", "SplitBackendMissing", "warning")
    assert (found["source"], found["line"]) == (str(tmp_path / "sub" / "split.yaml"), 8)
    assert (found["kind"], found["namespace"], found["name"]) == ("TrafficSplit", "default", "canary")
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: web-v2}\nspec: {ports: [{name: http, port: 80}]}\n"
    (tmp_path / "backend.yml").write_text(service)
    assert [row["code"] for row in json.loads(run("-f", str(tmp_path), "-o", "json").output)["findings"]] == ["NSM0102"]


@pytest.mark.spec("10.analyze")
def test_table_and_yaml_say_the_same_as_json() -> None:
    """For people, and for tools that read YAML."""
    table = run("-f", "-", stdin=SPLIT).output
    assert "-:8: warning NSM0101 TrafficSplit default/canary" in table
    assert "2 objects: 0 errors, 1 warnings" in table
    as_json = json.loads(run("-f", "-", "-o", "json", stdin=SPLIT).output)
    assert yaml.safe_load(run("-f", "-", "-o", "yaml", stdin=SPLIT).output) == as_json


def sarif(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run("-f", "-", "-o", "sarif", stdin=text).output)
    return document


@pytest.mark.spec("10.analyze")
def test_sarif_has_what_its_schema_demands() -> None:
    """Version 2.1.0: a driver with a name, rules with ids of their own, results that refer to them and to a line of a file."""
    document = sarif(SPLIT)
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    assert set(document) == {"$schema", "version", "runs"}
    [one] = document["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"]
    assert [rule["id"] for rule in driver["rules"]] == [code.number for code in CODES]
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    for rule in driver["rules"]:
        assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
    [result] = one["results"]
    assert result["ruleId"] == driver["rules"][result["ruleIndex"]]["id"] == "NSM0101"
    assert result["level"] in {"none", "note", "warning", "error"}
    assert result["message"]["text"]
    [location] = result["locations"]
    assert location["physicalLocation"]["region"]["startLine"] >= 1
    assert location["physicalLocation"]["artifactLocation"]["uri"]
    assert sarif(GOOD)["runs"][0]["results"] == []


@pytest.mark.spec("10.analyze")
def test_the_cluster_is_read_as_it_is() -> None:
    """Pods and slices are believed, nothing is made up: a Service without a slice has no endpoint."""
    from mesh.ctl.analysis.objects import Tables
    from mesh.ctl.analysis.read import add_cluster
    from mesh.ctl.analysis.run import analyze
    from mesh.ctl.cluster import NotFoundError

    service = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"ports": [{"name": "http", "port": 80}]}}
    split = {
        "metadata": {"name": "canary", "namespace": "shop"},
        "spec": {"service": "web", "backends": [{"service": "web", "weight": 1}]},
    }
    answers = {
        "/api/v1/namespaces": [{"metadata": {"name": "shop"}}],
        "/api/v1/services": [service],
        "/api/v1/pods": [],
        "/apis/discovery.k8s.io/v1/endpointslices": [],
        "/apis/split.smi-spec.io/v1alpha3/trafficsplits": [split],
    }

    class Stored:
        def get(self, path: str) -> Any:
            if path not in answers:
                raise NotFoundError(path)
            return {"items": answers[path]}

    tables = Tables()
    add_cluster(tables, Stored())
    assert [(row.code.reason, row.place.source) for row in analyze(tables)] == [("SplitBackendEmpty", "cluster")]
    split["spec"] = {"service": "gone", "backends": [{"service": "web", "weight": 1}]}
    tables = Tables()
    add_cluster(tables, Stored())
    assert [(row.code.reason, row.place.source) for row in analyze(tables)] == [("DestinationMissing", "cluster")]
