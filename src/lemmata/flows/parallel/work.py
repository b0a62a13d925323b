"""What steps on all levels cost, counted before a solve or after it."""


class Work:
    """Velocities that steps on all levels ask for.

    Attributes:
        serial: Steps of the serial solve.
        steps: Steps applied on each level, finest first.
        stages: Velocities that a step asks for on each level.
    """

    serial: int
    steps: tuple[int, ...]
    stages: tuple[int, ...]

    @property
    def evaluations(self) -> int:
        """Velocities (backwards: their transposed products) on all levels."""
        return sum(steps * stages for steps, stages in zip(self.steps, self.stages, strict=True))

    @property
    def work(self) -> float:
        """The same in serial sweeps over the layers."""
        return self.evaluations / (self.serial * self.stages[0])
