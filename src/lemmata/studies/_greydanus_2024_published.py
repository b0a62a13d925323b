"""What the authors of MNIST-1D published: each accuracy twice, and the numbers of parameters."""

from dataclasses import dataclass

RESOLUTION = 0.03  # two standard errors of an accuracy on 1,000 signals, at most 2 (0.25 / 1000)^(1/2) = 0.032


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
