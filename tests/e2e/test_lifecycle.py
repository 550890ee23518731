"""A pod's last moments and its neighbours: Jobs that end, init containers, ordinary sidecars (contract 5)."""

import json
import secrets
import statistics
import subprocess
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from mesh.api import names
from samples.kubectl import KubectlError
from tests.e2e.apps import App, namespace_object
from tests.e2e.eventually import eventually
from tests.e2e.jobs import END_SECONDS, HASTY, create, finish, job, python
from tests.e2e.mesh_under_test import APP, MeshUnderTest, address, bodies

AT_ONCE = 5
JOB_SECONDS = 60.0
JOBS = [
    pytest.param(3, id="short", marks=pytest.mark.timeout(360)),
    pytest.param(20, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(1800)]),
]
FAIL_ONCE = "test -e /work/tried && exit 0; touch /work/tried; exit 1"
# Calls out when it starts, and again two seconds after it was told to end.
LATE_CALLER = f"""
import signal, time
def call():
{"".join(f"    {line}{chr(10)}" for line in HASTY.splitlines())}
call()
print("called first", flush=True)
signal.signal(signal.SIGTERM, lambda *_: 0)
signal.pause()
time.sleep(2)
call()
print("called last", flush=True)
"""


@pytest.fixture(scope="module")
def scheduled(mesh: MeshUnderTest, pair_of_apps: str) -> Iterator[str]:
    """A CronJob that is due every minute, created before the other cases, so that the last one need not wait for it."""
    spec = {"schedule": "* * * * *", "concurrencyPolicy": "Forbid", "jobTemplate": {"spec": job(mesh, python(HASTY))}}
    create(mesh, pair_of_apps, "CronJob", "minutely", spec)
    yield "minutely"
    mesh.kubectl.run("-n", pair_of_apps, "delete", "cronjob", "minutely", "--ignore-not-found", "--wait=false")


@pytest.mark.spec("5.jobs")
@pytest.mark.usefixtures("scheduled")
@pytest.mark.parametrize("count", JOBS)
def test_jobs_end_soon_after_their_work(mesh: MeshUnderTest, pair_of_apps: str, count: int) -> None:
    """From the end of the application to that of its sidecar, and to the moment when the Job is complete."""
    names_of_jobs = [f"ends-{number}-{secrets.token_hex(3)}" for number in range(count)]
    sidecars, jobs = [], []
    for first in range(0, count, AT_ONCE):
        batch = names_of_jobs[first : first + AT_ONCE]
        for name in batch:
            create(mesh, pair_of_apps, "Job", name, job(mesh, python(HASTY)))
        for name in batch:
            [ended] = finish(mesh, pair_of_apps, name, JOB_SECONDS * AT_ONCE)
            status = mesh.kubectl.get("job", name, "-n", pair_of_apps)["status"]
            sidecars.append(ended.seconds_after_work())
            jobs.append((datetime.fromisoformat(status["completionTime"]) - ended.finished("app")).total_seconds())
        mesh.kubectl.run("-n", pair_of_apps, "delete", "job", *batch, "--wait=false")
    for what, seconds in (("sidecars", sidecars), ("Jobs", jobs)):
        print(f"{count} {what} ended after the work: median {statistics.median(seconds)} s, longest {max(seconds)} s")
    # The median, because the machine may be busy with other things for one of them.
    assert statistics.median(jobs) <= END_SECONDS, (sidecars, jobs)


@pytest.mark.spec("5.jobs")
@pytest.mark.timeout(180)
def test_a_job_that_is_tried_again_in_the_same_pod_ends(mesh: MeshUnderTest, pair_of_apps: str) -> None:
    """restartPolicy OnFailure: the sidecar stays for the second try, and goes after it."""
    name = f"again-{secrets.token_hex(3)}"
    create(mesh, pair_of_apps, "Job", name, job(mesh, ["sh", "-c", FAIL_ONCE], "OnFailure"))
    [ended] = finish(mesh, pair_of_apps, name, 120)
    [container] = ended.pod["status"]["containerStatuses"]
    assert container["restartCount"] == 1
    assert ended.seconds_after_work() <= 2 * END_SECONDS
    mesh.kubectl.run("-n", pair_of_apps, "delete", "job", name, "--wait=false")


@pytest.mark.spec("5.init-containers")
@pytest.mark.timeout(180)
def test_other_init_containers_and_the_mesh(mesh: MeshUnderTest, pair_of_apps: str, outside: str) -> None:
    """Before ours there is no mesh, between ours nobody who takes calls, after ours mTLS as for the application."""
    mesh.kubectl.apply(namespace_object(outside, injected=False))
    calls = {name: calling(mesh, name, f"http://web.{pair_of_apps}/") for name in ("before", "between", "after", "app")}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "many", "namespace": outside},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "initContainers": [calls["after"]],
            "containers": [calls["app"]],
        },
    }
    result = mesh.meshctl("inject", given=json.dumps(pod))
    assert result.returncode == 0, result.stderr
    injected = json.loads(result.stdout)
    init, sidecar, after = injected["spec"]["initContainers"]
    injected["spec"]["initContainers"] = [calls["before"], init, calls["between"], sidecar, after]
    mesh.kubectl.apply(injected)
    mesh.kubectl.run(
        *("-n", outside, "wait", "pod/many", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s"),
        timeout_seconds=130,
    )
    said = {name: json.loads(mesh.kubectl.run("-n", outside, "logs", "many", "-c", name))[0] for name in calls}
    assert "X-Mesh-Peer-Identity" not in said["before"]["body"]["headers"]
    assert (said["between"]["status"], "ConnectionRefusedError" in said["between"]["error"]) == (0, True)
    for name in ("after", "app"):
        assert said[name]["body"]["headers"]["X-Mesh-Peer-Identity"].endswith(f"/ns/{outside}/sa/default")


def calling(mesh: MeshUnderTest, name: str, url: str) -> dict[str, Any]:
    """A container that makes one call, tells what came, and ends well in any case."""
    call = " ".join([*APP, "call", url])
    return {"name": name, "image": mesh.image, "command": ["sh", "-c", f"{call}; true"]}


@pytest.mark.spec("5.native", "6.drain")
@pytest.mark.timeout(240)
def test_an_ordinary_sidecar_is_there_first_and_last(mesh: MeshUnderTest, pair_of_apps: str) -> None:
    """The way back from native sidecars: the application's calls work in its first moment, and after SIGTERM until its end."""
    app = App("classic", mesh.image, annotations={names.ANNOTATION_NATIVE_SIDECAR: "false"})
    *others, deployment = app.objects(pair_of_apps)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container |= {"command": python(LATE_CALLER)}
    del container["args"]
    mesh.kubectl.apply(*others, deployment)
    try:
        mesh.kubectl.rollout(pair_of_apps, "deployment/classic", 120)
        pod = mesh.pod(pair_of_apps, "classic")
        assert [row["name"] for row in pod["spec"]["containers"]] == [names.SIDECAR, "app"]
        follow = mesh.kubectl.command("-n", pair_of_apps, "logs", "-f", pod["metadata"]["name"], "-c", "app")
        with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as log:
            assert log.stdout is not None
            assert log.stdout.readline() == "called first\n"
            mesh.kubectl.run("-n", pair_of_apps, "delete", "deployment", "classic", "--wait=false")
            assert log.stdout.read() == "called last\n"
        left = ("pods", "-n", pair_of_apps, "-l", "app=classic")
        eventually(lambda: not mesh.kubectl.get(*left)["items"], 60, "the end of the pod")
    finally:
        mesh.kubectl.run("-n", pair_of_apps, "delete", "deployment", "classic", "--ignore-not-found", "--wait=false")


@pytest.mark.spec("6.drain")
@pytest.mark.timeout(240)
def test_an_ordinary_sidecar_takes_calls_while_the_applications_hook_runs(
    mesh: MeshUnderTest, pair_of_apps: str
) -> None:
    """A preStop hook gives callers time to go elsewhere; those that have not heard yet are served until the application ends."""
    annotations = {names.ANNOTATION_NATIVE_SIDECAR: "false"}
    app = App("hooked", mesh.image, (8080,), annotations=annotations)
    *others, deployment = app.objects(pair_of_apps)
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    hook = ["sh", "-c", "touch /tmp/hooked; while ! test -e /tmp/go; do sleep 0.1; done"]
    container |= {
        "lifecycle": {"preStop": {"exec": {"command": hook}}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    deployment["spec"]["template"]["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    mesh.kubectl.apply(*others, deployment)
    try:
        mesh.kubectl.rollout(pair_of_apps, "deployment/hooked", 120)
        mesh.wait_synced()
        pod = mesh.pod(pair_of_apps, "hooked")
        place = ("-n", pair_of_apps)
        name = pod["metadata"]["name"]
        mesh.kubectl.run(*place, "delete", "deployment", "hooked", "--wait=false")

        def inside(*command: str) -> str:
            return mesh.kubectl.run(*place, "exec", name, "-c", "app", "--", *command)

        eventually(lambda: "hooked" in inside("ls", "/tmp"), 20, "the hook")
        url = f"http://{address(pod)}:8080/"
        # The kubelet tells the sidecar in the moment in which it starts the hook; a drain would show between these calls.
        for _ in range(10):
            [answer] = bodies(mesh.call(pair_of_apps, "caller", url))
            assert answer["server"] == "hooked"
        inside("touch", "/tmp/go")
        left = ("pods", *place, "-l", "app=hooked")
        eventually(lambda: not mesh.kubectl.get(*left)["items"], 60, "the end of the pod")
    finally:
        mesh.kubectl.run("-n", pair_of_apps, "delete", "deployment", "hooked", "--ignore-not-found", "--wait=false")


@pytest.mark.spec("5.containers")
@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_pod_security_refuses_injected_pods(mesh: MeshUnderTest, namespace: str, level: str) -> None:
    """What such a namespace refuses, it says: the init container's capability and the volume of the node."""
    space = namespace_object(namespace, injected=True)
    space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = level
    mesh.kubectl.apply(space)
    container = {"name": "app", "image": mesh.image}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": namespace}}
    with pytest.raises(KubectlError) as refusal:
        mesh.kubectl.apply({**pod, "spec": {"containers": [container]}})
    for reason in (f'PodSecurity "{level}:latest"', "NET_ADMIN", "hostPath", names.INIT):
        assert reason in str(refusal.value)


@pytest.mark.spec("5.jobs")
@pytest.mark.timeout(240)
def test_a_scheduled_job_ends(mesh: MeshUnderTest, pair_of_apps: str, scheduled: str) -> None:
    """A CronJob's Job calls through the mesh and ends as any other."""

    def owned() -> str:
        jobs = mesh.kubectl.get("jobs", "-n", pair_of_apps)["items"]
        return next((row["metadata"]["name"] for row in jobs if row["metadata"]["name"].startswith(scheduled)), "")

    name = eventually(owned, 90, "the CronJob's Job")
    [ended] = finish(mesh, pair_of_apps, name, 120)
    print(f"a CronJob's sidecar ended {ended.seconds_after_work()} s after the work")
    assert ended.seconds_after_work() <= 2 * END_SECONDS


@pytest.mark.spec("5.probes")
@pytest.mark.timeout(240)
def test_grpc_probes_of_a_strict_pod_work(mesh: MeshUnderTest, namespace: str) -> None:
    """The kubelet, which has no certificate, sees a strict pod become ready by its gRPC probes, on a port not even declared."""
    mesh.kubectl.apply(namespace_object(namespace, injected=True))
    app = App(
        "probed", mesh.image, annotations={names.ANNOTATION_MTLS_MODE: "strict"}, arguments=("--grpc-port", "9090")
    )
    *others, deployment = app.objects(namespace)
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    probe = {"grpc": {"port": 9090}, "periodSeconds": 1, "timeoutSeconds": 5}
    container |= {"readinessProbe": probe, "livenessProbe": probe | {"failureThreshold": 10}}
    mesh.kubectl.apply(*others, deployment)
    mesh.kubectl.rollout(namespace, "deployment/probed", 120)
    pod = mesh.pod(namespace, "probed")
    assert mesh.sidecar_status(pod)["mode"] == "strict"
