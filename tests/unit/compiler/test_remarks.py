"""What is said of policies does not depend on the order in which it was found (contract 7.conditions)."""

import itertools

import pytest

from mesh.compiler.book import Remarks
from tests.unit.compiler.policies import routes

MESSAGES = ("TCPRoute t does not exist", "without sources it allows nobody", "match m does not exist")


@pytest.mark.spec("7.conditions")
def test_a_message_is_the_same_in_any_order() -> None:
    """Else a status would be written again and again as endpoints come and go."""
    policy = routes("reads")
    said = set()
    for order in itertools.permutations(MESSAGES):
        remarks = Remarks()
        for message in order:
            remarks.say(policy, "Reason", message)
        said.add(remarks._outcome(policy).message)
    assert len(said) == 1
