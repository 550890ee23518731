"""An application that nobody wrote: random names, ports, namespaces and accounts; every service calls every other one."""

import os
import random
import secrets
import string
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.apps import App
from tests.e2e.mesh_under_test import MeshUnderTest, bodies

SERVICES = 12
NAMESPACES = 3
TAKEN = {*range(8886, 8897), *range(8900, 8910)}


@pytest.mark.spec("6.http")
def test_all_pairs_of_a_generated_application(mesh: MeshUnderTest, new_namespace: Callable[[], str]) -> None:
    """12 Services, one pod behind two of them, in three namespaces: each answers each, and the callers are proven."""
    seed = os.environ.get("MESH_SEED") or secrets.token_hex(8)
    print(f"generated application: MESH_SEED={seed}")
    chance = random.Random(seed)
    places = [new_namespace() for _ in range(NAMESPACES)]
    apps = generate(chance, mesh.image)
    with ThreadPoolExecutor(NAMESPACES) as pool:
        groups = [[app for app in apps if place == place_of(app, places)] for place in places]
        list(pool.map(lambda place, group: mesh.create(place, *group), places, groups))
    urls = {
        f"http://{service}.{place_of(app, places)}:{port}/": app
        for app in apps
        for service, (port, _) in app.services.items()
    }
    assert len(urls) == SERVICES

    def check(caller: App) -> None:
        answers = bodies(mesh.call(place_of(caller, places), caller.name, *urls))
        assert [body["server"] for body in answers] == [app.name for app in urls.values()]
        identity = f"spiffe://example.org/ns/{place_of(caller, places)}/sa/{caller.service_account}"
        seen = {body["headers"].get("X-Mesh-Peer-Identity") for body in answers if body["server"] != caller.name}
        assert seen == {identity}

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(check, apps))


def generate(chance: random.Random, image: str) -> list[App]:
    """Eleven applications; the first one has two Services."""
    ports = chance.sample([port for port in range(1024, 60000) if port not in TAKEN], 3 * SERVICES)
    apps = []
    for number in range(SERVICES - 1):
        target, second, *_ = ports[3 * number : 3 * number + 3]
        services = {word(chance): (chance.choice([80, ports[3 * number + 2]]), target)}
        if number == 0:
            services[word(chance)] = (chance.randint(1024, 8000), second)
        open_ports = (target, second) if number == 0 else (target,)
        apps.append(App(word(chance), image, open_ports, services, service_account=word(chance)))
    return apps


def place_of(app: App, places: list[str]) -> str:
    """The namespace of an application, by its name."""
    return places[sum(app.name.encode()) % len(places)]


def word(chance: random.Random) -> str:
    """A random DNS label that starts with a letter."""
    return chance.choice(string.ascii_lowercase) + "".join(chance.choices(string.ascii_lowercase + string.digits, k=9))
