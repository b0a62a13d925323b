"""Numbers as a reader wants them: digits that the interval supports, powers of ten, regions in words."""

import math

from lemmata.verdicts.wording import decimals

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float, *, digits: int = 4) -> str:
    """A number to some significant digits, with a true minus sign and powers of ten.

    >>> number(0.16691), number(-2.5e-9), number(60000), number(2049.5), number(math.inf)
    ('0.1669', '−2.5 × 10⁻⁹', '60000', '2049.5', '∞')
    """
    if math.isnan(value):
        return "none"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{value:.0f}".replace("-", "−")
    text = f"{value:.1f}" if 1e3 <= abs(value) < 1e6 else f"{value:.{digits}g}"
    if "e" in text:
        mantissa, power = text.split("e")
        text = f"{mantissa} × 10{str(int(power)).translate(SUPERSCRIPT)}"
    return text.replace("-", "−")


def with_interval(mean: float, low: float, high: float) -> str:
    """A mean with its interval, to two significant digits of the interval's half width.

    >>> with_interval(0.166123, 0.1581, 0.1742)
    '0.1661 [0.1581, 0.1742]'
    """
    if not low < high or math.isinf(high - low):
        return number(mean)
    places = decimals(mean, low, high)
    if places is None:
        return f"{number(mean)} [{number(low)}, {number(high)}]"
    middle, *ends = (f"{value:z.{places}f}".replace("-", "−") for value in (mean, low, high))
    return f"{middle} [{', '.join(ends)}]"


def region(low: float, high: float) -> str:
    """A region in symbols.

    >>> region(0.1, 0.25), region(2, math.inf), region(-math.inf, math.inf)
    ('0.10 to 0.25', 'at least 2', 'any value')
    """
    if low == high:
        return f"exactly {number(low)}"
    if math.isinf(low):
        return "any value" if math.isinf(high) else f"at most {number(high)}"
    return f"at least {number(low)}" if math.isinf(high) else " to ".join(alike(low, high))


def range_of(low: float, high: float) -> str:
    """The smallest and the largest of some values.

    >>> range_of(0, 0), range_of(1e-9, 2e-7)
    ('0', '1 × 10⁻⁹ to 2 × 10⁻⁷')
    """
    return number(low) if low == high else " to ".join(alike(low, high))


def alike(low: float, high: float) -> tuple[str, str]:
    """Two numbers with as many decimals; each as it is where one is 0, a power of ten, or a hundred times the other.

    >>> alike(0.9, 1.25), alike(2, 2.5), alike(0, 0.05), alike(0.08404, 1703.2)
    (('0.90', '1.25'), ('2.0', '2.5'), ('0', '0.05'), ('0.08404', '1703.2'))
    """
    texts = number(low), number(high)
    small, large = sorted((abs(low), abs(high)))
    if not 0 < large < 100 * small or "×" in "".join(texts):
        return texts
    places = max(len(text.partition(".")[2]) for text in texts)
    first, second = (f"{value:.{places}f}".replace("-", "−") for value in (low, high))
    return first, second


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best.

    >>> duration(0.25), duration(95), duration(7300)
    ('0.25 s', '1 min 35 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "seed"), plural(5, "seed")
    ('1 seed', '5 seeds')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
