"""Promises as tests: what every conformance class is, so that it runs under pytest and without it."""

from unittest import SkipTest


class Promises:
    """A class whose methods ``test_...`` are promises; pytest collects its subclasses, `check` runs them by itself.

    >>> class TestMine(Promises):
    ...     def test_arithmetic(self):
    ...         assert 1 + 1 == 2
    >>> TestMine().check()
    """

    def check(self) -> None:
        """Run all tests, without pytest; raises AssertionError with every promise that is not kept."""
        broken = []
        for name in (name for name in dir(self) if name.startswith("test_")):
            try:
                getattr(self, name)()
            except SkipTest:
                continue
            except Exception as error:
                broken.append(f"{name}: {type(error).__name__}: {error}")
        if broken:
            raise AssertionError("\n".join(broken))
