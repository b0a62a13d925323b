"""What the authors of MNIST-1D published: each accuracy twice, what these make of differences, and parameters."""

from dataclasses import dataclass

RESOLUTION = 0.03  # two standard errors of an accuracy on 1,000 signals, at most 2 (0.25 / 1000)^(1/2) = 0.032
OF_DIFFERENCE = 0.042  # of the difference of two such accuracies, 2^(1/2) times that


@dataclass(frozen=True)
class Entry:
    """One accuracy on the test set: in the table of the repository's front page, and in its notebook."""

    table: float
    notebook: float

    @property
    def mean(self) -> float:
        """The mean of the two."""
        return round((self.table + self.notebook) / 2, 4)

    @property
    def margin(self) -> float:
        """Half their distance, and the resolution of the test set."""
        return round(abs(self.table - self.notebook) / 2 + RESOLUTION, 4)

    @property
    def quoted(self) -> str:
        """As the report prints it."""
        return f"{100 * self.table:g} % (table), {100 * self.notebook:g} % (notebook)"


@dataclass(frozen=True)
class Difference:
    """One accuracy less another, from both sources.

    >>> Difference(Entry(0.94, 0.923), Entry(0.68, 0.651)).quoted
    '94 - 68 = 26 points (table), 92.3 - 65.1 = 27.2 (notebook)'
    """

    first: Entry
    second: Entry

    @property
    def table(self) -> float:
        """That of the table."""
        return round(self.first.table - self.second.table, 4)

    @property
    def notebook(self) -> float:
        """That of the notebook."""
        return round(self.first.notebook - self.second.notebook, 4)

    @property
    def mean(self) -> float:
        """The mean of the two."""
        return round((self.table + self.notebook) / 2, 4)

    @property
    def margin(self) -> float:
        """Half their distance, and the resolution of the test set."""
        return round(abs(self.table - self.notebook) / 2 + OF_DIFFERENCE, 4)

    @property
    def quoted(self) -> str:
        """As the report prints it."""
        a, b = self.first, self.second
        table = f"{100 * a.table:g} - {100 * b.table:g} = {100 * self.table:g} points (table)"
        return f"{table}, {100 * a.notebook:g} - {100 * b.notebook:g} = {100 * self.notebook:g} (notebook)"


PUBLISHED = {
    ("linear", "kept"): Entry(0.32, 0.315),
    ("mlp", "kept"): Entry(0.68, 0.651),
    ("cnn", "kept"): Entry(0.94, 0.923),
    ("gru", "kept"): Entry(0.91, 0.891),
    ("linear", "shuffled"): Entry(0.32, 0.315),
    ("mlp", "shuffled"): Entry(0.68, 0.66),
    ("cnn", "shuffled"): Entry(0.56, 0.587),
    ("gru", "shuffled"): Entry(0.57, 0.533),
}
PARAMETERS = {"linear": 410, "mlp": 15210, "cnn": 5210, "gru": 5134}
