"""A circuit: when it opens and when it closes (contract 7.breaker). Times are in milliseconds of one clock."""

from dataclasses import dataclass

from mesh.model.policy import Breaker


@dataclass(frozen=True, slots=True)
class Circuit:
    """What a sidecar remembers of one breaker: when the latest errors ended, and until when it is open."""

    errors: tuple[int, ...] = ()
    open_until: int = 0


CLOSED = Circuit()


def is_open(circuit: Circuit, now: int) -> bool:
    """Whether calls are refused, or go to the fallback."""
    return now < circuit.open_until


def note_error(breaker: Breaker, circuit: Circuit, now: int) -> Circuit:
    """Note that a call of the Service failed at *now*.

    The circuit opens when the ``errors``-th latest error, this one counted, is younger than the time-out. Errors while it is open
    (of calls that began before) count for nothing, and it closes without memory.
    """
    if not breaker.errors or not breaker.timeout_seconds or is_open(circuit, now):
        return circuit
    window = breaker.timeout_seconds * 1000
    errors = (*circuit.errors, now)[-breaker.errors :]
    if len(errors) == breaker.errors and now - errors[0] < window:
        return Circuit(open_until=now + window)
    return Circuit(errors, circuit.open_until)
