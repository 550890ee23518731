"""Pearson's test: how likely counts at least this far from a law are, if the law holds."""

import math
from collections.abc import Sequence

PRECISION = 1e-12


def p_value(observed: Sequence[int], law: Sequence[float]) -> float:
    """The probability of a deviation at least as large, when each of the counts has its probability in *law*.

    Probabilities of zero take counts of zero, or the answer is 0. Every expected count must be at least 5.
    """
    if any(count and not probability for count, probability in zip(observed, law, strict=True)):
        return 0.0
    total = sum(observed)
    cells = [(count, total * probability) for count, probability in zip(observed, law, strict=True) if probability]
    if min(expected for _, expected in cells) < 5 or not math.isclose(sum(law), 1.0):
        raise ValueError(f"not a law, or too few picks for it: {law}")
    statistic = sum((count - expected) ** 2 / expected for count, expected in cells)
    return upper_tail(statistic, len(cells) - 1)


def upper_tail(statistic: float, freedom: int) -> float:
    """P(X > *statistic*) for a chi-square variable: the regularised upper incomplete gamma function Q(k/2, x/2)."""
    shape, point = freedom / 2, statistic / 2
    if not freedom or point <= 0:
        return 1.0
    scale = math.exp(shape * math.log(point) - point - math.lgamma(shape))
    return 1 - scale * _series(shape, point) if point < shape + 1 else scale * _fraction(shape, point)


def _series(shape: float, point: float) -> float:
    """The lower function's series (Abramowitz and Stegun 6.5.29), without its leading factor."""
    term = total = 1 / shape
    while term > total * PRECISION:
        shape += 1
        term *= point / shape
        total += term
    return total


def _fraction(shape: float, point: float) -> float:
    """The upper function's continued fraction (6.5.31), without its leading factor, evaluated from the front."""
    denominator = point + 1 - shape
    ratio = 1e300
    inverse = result = 1 / denominator
    step = 0
    change = 0.0
    while abs(change - 1) > PRECISION:
        step += 1
        numerator = -step * (step - shape)
        denominator += 2
        inverse = 1 / (numerator * inverse + denominator)
        ratio = denominator + numerator / ratio
        change = inverse * ratio
        result *= change
    return result
