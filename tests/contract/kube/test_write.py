"""Writes against a real API server: fields that are ours alone, events once (design 6; contract 7.events)."""

import pytest

from mesh.kube import kinds, write
from mesh.kube.client import ApiError, Client
from tests.apiserver import ApiServer


async def test_applied_fields_are_ours_and_others_keep_theirs(
    client: Client, api_server: ApiServer, namespace: str
) -> None:
    """A field that somebody changed is taken back; a field of somebody else is left."""
    path = f"/api/v1/namespaces/{namespace}/configmaps/shared"
    api_server.request(
        "POST", path.rpartition("/")[0], {"metadata": {"name": "shared"}, "data": {"theirs": "1", "ours": "x"}}
    )
    await write.apply(client, kinds.CONFIG_MAPS, "shared", {"data": {"ours": "2"}}, "ours-manager", namespace)
    assert api_server.request("GET", path)["data"] == {"theirs": "1", "ours": "2"}
    managers = [row["manager"] for row in api_server.request("GET", path)["metadata"]["managedFields"]]
    assert "ours-manager" in managers


async def test_a_refusal_says_why(client: Client, namespace: str) -> None:
    """The API server's own words arrive, with the status."""
    with pytest.raises(ApiError, match="not found") as refusal:
        await client.get(f"/api/v1/namespaces/{namespace}/pods/none")
    assert refusal.value.status == 404


@pytest.mark.spec("7.events")
async def test_the_same_event_is_made_once(client: Client, api_server: ApiServer, namespace: str) -> None:
    """kubectl describe shows it at the object; told again, it is renewed; another message is another event."""
    path = f"/api/v1/namespaces/{namespace}"
    api_server.request("POST", f"{path}/services", {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    for message in ("first", "first", "second"):
        await write.emit_event(client, kinds.SERVICES, namespace, "web", "ProtocolConflict", message)
    events = api_server.request("GET", f"{path}/events")["items"]
    assert sorted(event["message"] for event in events) == ["first", "second"]
    service = api_server.request("GET", f"{path}/services/web")
    assert {event["involvedObject"]["uid"] for event in events} == {service["metadata"]["uid"]}


@pytest.mark.spec("7.events")
async def test_an_object_that_is_gone_gets_no_event(client: Client, api_server: ApiServer, namespace: str) -> None:
    """Nothing fails, nothing is left behind."""
    await write.emit_event(client, kinds.PODS, namespace, "gone", "InvalidAnnotation", "x")
    assert api_server.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"] == []
