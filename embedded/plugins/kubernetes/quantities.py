"""Kubernetes quantities ("0.01", "1024Ki", "1e3") in the one spelling that the API server gives back.

Rules of the API's Quantity type: no fraction is shown, the exponent is as large as it can be, a number keeps its family
of suffixes (binary, decimal, exponent), and nothing is finer than a nano. A text that the server's parser takes for
canonical on its quick way is kept letter by letter, even where it is not ("5.", "12E6", "+1").
"""

import re
from decimal import ROUND_UP, Decimal

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_SUFFIX_OF = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX_OF = {power: suffix for suffix, power in _BINARY.items()}
_SHAPE = re.compile(r"([+-]?)(?=[0-9.]*[0-9])([0-9]*)(?:\.([0-9]*))?(?:([KMGTPE]i)|([numkMGTPE])|([eE][+-]?[0-9]+))?")
_QUICK_DIGITS = 18
_LARGEST = Decimal(2**63 - 1)


def canonical(text: str) -> str:
    """The server's spelling of a quantity; a text that is none comes back as it is, for the server to refuse."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        return text
    sign, whole, fraction, binary, decimal, exponent = match.groups()
    if _is_kept(whole.lstrip("0") or "0", fraction or "", binary, _exponent_of(decimal, exponent)):
        return text
    value = Decimal(f"{sign}{whole or '0'}.{fraction or '0'}")
    if binary:
        value *= Decimal(1024) ** _BINARY[binary]
    elif decimal:
        value = value.scaleb(_DECIMAL[decimal])
    elif exponent:
        value = value.scaleb(int(exponent[1:]))
    value = value.quantize(Decimal("1e-9"), rounding=ROUND_UP) if value != value.to_integral_value() else value
    value = max(min(value, _LARGEST), -_LARGEST)
    if value == 0:
        return "0"
    if binary and abs(value) >= 1024 and value == value.to_integral_value():
        return _binary(int(value))
    return _decimal(value, as_exponent=exponent is not None)


def _exponent_of(decimal: str | None, exponent: str | None) -> int:
    return int(exponent[1:]) if exponent else _DECIMAL[decimal or ""]


def _is_kept(whole: str, fraction: str, binary: str | None, exponent: int) -> bool:
    """The quick way of the server's parser: few digits, no power of the base left over at the end."""
    if binary:
        return not fraction and len(whole) <= 14 - 3 * _BINARY[binary] and int(whole) % 8 != 0
    digits, scale = whole + fraction, exponent - len(fraction)
    return (
        len(digits) <= _QUICK_DIGITS
        and scale >= -9
        and scale % 3 == 0
        and digits[0] != "0"
        and not digits.endswith("000")
    )


def _binary(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power < 6:
        value //= 1024
        power += 1
    return f"{value}{_BINARY_SUFFIX_OF.get(power, '')}"


def _decimal(value: Decimal, *, as_exponent: bool) -> str:
    exponent = -9
    mantissa = int(value.scaleb(9))
    while mantissa % 1000 == 0 and (as_exponent or exponent < 18):
        mantissa //= 1000
        exponent += 3
    if as_exponent:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_SUFFIX_OF[exponent]}"
