"""Networks taught by labels, and shallow ones taught by the logits of others, on MNIST-1D.

A trial is a seed: its signals, its teachers, and all of its students, which are trained in three calls: convolutional
networks, shallow networks on labels, shallow networks on logits. What several members need is trained once. A member's
outcome depends on its own fields only: every network of a seed of one kind has the same initial weights and the same
order of samples, and a student of fewer inputs meets each of them more often, so that all take the same steps.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import nets
from lemmata.data import mnist1d
from lemmata.data.corruption import random_labels
from lemmata.study import Config, Measurements
from lemmata.training import Adam, Result, cosine, last_epoch, train
from lemmata.training.mimic_targets import mimic_targets, offset_share

CLASSES, LENGTH = 10, 40
POOL = 6  # signals that are drawn for each labelled one: the first is labelled
CHUNK = 4000  # signals that a convolutional network evaluates at a time

Net = Literal["SNN", "DNN", "CNN", "ECNN"]


class Learner(Config):
    """One network, and what it is taught.

    SNN, DNN, CNN, ECNN: shallow, deep, convolutional networks, and the mean of convolutional ones, taught by labels;
    SNN-HARD, SNN-MIMIC: shallow networks taught by a teacher's decisions, or by its logits.
    """

    learner: Literal["SNN", "DNN", "CNN", "ECNN", "SNN-HARD", "SNN-MIMIC"] = "SNN-MIMIC"
    teacher: Literal["SNN", "DNN", "CNN", "ECNN", "random labels"] = "ECNN"
    times: Literal[1, 3, 6] = Field(default=6, description="inputs of a shallow network, for each labelled one")
    removed: Literal["sample means", "nothing", "output means", "output means, added back"] = Field(
        default="sample means", description="what is taken out of the logits before a student regresses on them"
    )
    permuted: bool = Field(default=False, description="a student gets the logits of another input")
    offset: float = Field(
        default=0.0, ge=0, description="deviation of a random number added to a sample's logits, in that of the logits"
    )
    ensemble: int = Field(default=3, ge=1, le=3, description="convolutional networks of the ensemble")
    convolutional_steps: int = Field(default=500, ge=1, description="of Adam on batches of 100, of the CNNs")
    labelled: int = Field(default=4000, ge=100, multiple_of=10)
    test: int = Field(default=2000, ge=10, multiple_of=10)
    hidden: int = Field(default=496, ge=1, description="hidden units of the shallow networks")
    width: int = Field(default=100, ge=1, description="of the three hidden layers of the deep network")
    steps: int = Field(default=1600, ge=1, description="of Adam on batches of 128, of SNNs and DNN")

    @property
    def lesson(self) -> "Learner":
        """The same with those fields at their defaults that play no part in the training of its network."""
        idle = {"ensemble"} if self.teacher != "ECNN" else set()
        idle |= {"convolutional_steps"} if self.teacher in ("SNN", "DNN") else set()
        if self.learner == "SNN":
            idle = {"teacher", "removed", "permuted", "offset", "ensemble", "convolutional_steps"}
        elif self.learner == "SNN-HARD":
            idle |= {"removed", "permuted", "offset"}
        changed: dict[str, object] = {name: Learner.model_fields[name].default for name in idle}
        if "teacher" not in idle and self.teacher == "ECNN" and self.ensemble == 1:
            changed |= {"teacher": "CNN", "ensemble": Learner.model_fields["ensemble"].default}
        return self.model_copy(update=changed)

    @property
    def training(self) -> "Learner":
        """The lesson as far as the student's weights depend on it: not on what is added to its outputs."""
        back = self.removed == "output means, added back"
        return self.lesson.model_copy(update={"removed": "output means"}) if back else self.lesson


def teach(configs: Sequence[Learner]) -> list[Measurements]:
    """Train all members of a seed, and measure each on fresh signals."""
    classroom = Classroom(configs[0])
    taught = classroom.students(dict.fromkeys(config.lesson for config in configs if config.learner.startswith("SNN")))
    return [classroom.measured(config, taught.get(config.lesson)) for config in configs]


class Classroom:
    """The signals of a seed and the networks taught by labels on them, trained when they are first asked for."""

    def __init__(self, setting: Learner):
        self.setting, self.n = setting, setting.labelled
        size = POOL * self.n
        signals, labels = mnist1d.generate(size + setting.test, seed=self.seed("signals"))
        x, y = torch.tensor(signals, dtype=torch.float32), torch.tensor(labels)
        self.x, self.y, self.x_test, self.y_test = x[:size], y[:size], x[size:], y[size:]
        self.convolutional: dict[int, tuple[Tensor, Tensor]] = {}

    def seed(self, purpose: str, copy: int = 0) -> int:
        """A seed for one purpose, independent of the others'."""
        place = ("signals", "weights", "order", "random labels", "permutation", "offsets").index(purpose)
        return int(np.random.SeedSequence([self.setting.seed, place, copy]).generate_state(1)[0])

    def logits(self, net: str, *, ensemble: int, steps: int) -> tuple[Tensor, Tensor]:
        """Logits of a network taught by labels: on the pool (POOL n, k) and on the test signals."""
        if net == "SNN":
            return self.shallow
        if net == "DNN":
            return self.deep
        pool, test = self.cnns(steps)
        chosen = {"CNN": slice(0, 1), "ECNN": slice(0, ensemble), "random labels": slice(3, 4)}[net]
        return pool[chosen].mean(0), test[chosen].mean(0)

    def cnns(self, steps: int) -> tuple[Tensor, Tensor]:
        """Logits of four CNNs after so many steps, the last one taught random labels: (4, POOL n, k) and test."""
        if steps not in self.convolutional:
            models = [convolutional(self.seed("weights", copy)) for copy in range(4)]
            noise = torch.Generator().manual_seed(self.seed("random labels"))
            y = torch.stack([*[self.y[: self.n]] * 3, random_labels(self.n, CLASSES, generator=noise)])
            result = train(
                models, self.x[: self.n].expand(4, -1, -1), y, optimiser=Adam(lr=0.01), batch_size=100,
                epochs=epochs(steps, 100, self.n), seeds=[self.seed("order", copy) for copy in range(4)],
                train_at=last_epoch,
            )  # fmt: skip
            trained = [result.model(i) for i in range(4)]
            self.convolutional[steps] = tuple(  # type: ignore[assignment]
                torch.stack([evaluated(net, x) for net in trained]) for x in (self.x, self.x_test)
            )
        return self.convolutional[steps]

    @cached_property
    def deep(self) -> tuple[Tensor, Tensor]:
        """Logits of the deep network, on the pool and on the test signals."""
        net = nets.mlp(LENGTH, [self.setting.width] * 3, CLASSES, seed=self.seed("weights"))
        result = train(
            [net], self.x[: self.n], self.y[: self.n], optimiser=Adam(lr=3e-3), schedule=cosine(), batch_size=128,
            epochs=epochs(self.setting.steps, 128, self.n), seeds=[self.seed("order")], train_at=last_epoch,
        )  # fmt: skip
        return evaluated(result.model(0), self.x), evaluated(result.model(0), self.x_test)

    @cached_property
    def shallow(self) -> tuple[Tensor, Tensor]:
        """Logits of the shallow network taught by labels, on the pool and on the test signals."""
        net = self.fit([self.tiled(self.y, 1)], [1], "cross_entropy").model(0)
        return evaluated(net, self.x), evaluated(net, self.x_test)

    def students(self, lessons: Iterable[Learner]) -> dict[Learner, float]:
        """Test accuracies of shallow networks, trained together by loss."""
        found: dict[Learner, float] = {}
        groups: dict[str, list[Learner]] = {"cross_entropy": [], "mse": []}
        for config in sorted(lessons, key=repr):
            if config.learner == "SNN" and config.times == 1:
                found[config] = accuracy(self.shallow[1], self.y_test)
            else:
                groups["mse" if config.learner == "SNN-MIMIC" else "cross_entropy"].append(config)
        for loss, those in groups.items():
            trained = list(dict.fromkeys(config.training for config in those))
            if not trained:
                continue
            result = self.fit([self.targets(c) for c in trained], [c.times for c in trained], loss)
            for config in those:
                outputs = evaluated(result.model(trained.index(config.training)), self.x_test)
                if config.removed == "output means, added back":
                    outputs = outputs + self.mimicked(config).mean(0)
                found[config] = accuracy(outputs, self.y_test)
        return found

    def targets(self, config: Learner) -> Tensor:
        """What a shallow network is to learn on its inputs, repeated to the size of the pool."""
        if config.learner == "SNN":
            return self.tiled(self.y, config.times)
        if config.learner == "SNN-HARD":
            return self.tiled(self.teacher(config)[0].argmax(1), config.times)
        values = self.mimicked(config)
        if config.removed.startswith("output means"):
            values = values - values.mean(0)
        if config.permuted:
            draw = torch.Generator().manual_seed(self.seed("permutation"))
            values = values[torch.randperm(len(values), generator=draw)]
        return self.tiled(values, config.times)

    def mimicked(self, config: Learner) -> Tensor:
        """The teacher's logits on a student's inputs (times n, k), without the samples' means or with them."""
        logits = self.teacher(config)[0][: config.times * self.n]
        if config.offset:
            draw = torch.Generator().manual_seed(self.seed("offsets"))
            logits = logits + config.offset * logits.std() * torch.randn(len(logits), 1, generator=draw)
        return mimic_targets(logits, centred=config.removed == "sample means")

    def teacher(self, config: Learner) -> tuple[Tensor, Tensor]:
        """The logits of a member's teacher, on the pool and on the test signals."""
        return self.logits(config.teacher, ensemble=config.ensemble, steps=config.convolutional_steps)

    def tiled(self, values: Tensor, times: int) -> Tensor:
        """The first `times` n rows, repeated to the size of the pool."""
        return values[: times * self.n].repeat(POOL // times, *[1] * (values.ndim - 1))

    def fit(self, targets: Sequence[Tensor], times: Sequence[int], loss: str) -> Result:
        """Train shallow networks, each on its own targets for the first `times` n inputs."""
        x = torch.stack([self.tiled(self.x, t) for t in times])
        net = [nets.mlp(LENGTH, [self.setting.hidden], CLASSES, seed=self.seed("weights")) for _ in times]
        return train(
            net, x, torch.stack(list(targets)), loss=loss, optimiser=Adam(lr=3e-3 if loss == "cross_entropy" else 1e-2),
            schedule=cosine(), batch_size=128, epochs=epochs(self.setting.steps, 128, x.shape[1]),
            seeds=[self.seed("order")] * len(times), train_at=last_epoch,
        )  # fmt: skip

    def measured(self, config: Learner, student: float | None) -> Measurements:
        """Accuracy on the test signals, for a student beside its teacher's."""
        if student is None:
            net = self.logits(config.learner, ensemble=config.ensemble, steps=config.convolutional_steps)
            return Measurements.of(accuracy=accuracy(net[1], self.y_test))
        if config.learner == "SNN":
            return Measurements.of(accuracy=student)
        pool, test = self.teacher(config)
        own = accuracy(test, self.y_test)
        return Measurements.of(
            accuracy=student, teacher_accuracy=own, behind=own - student, offset_share=offset_share(pool)
        )


def convolutional(seed: int) -> nn.Module:
    """MNIST-1D's own convolutional network, for signals (n, 40)."""
    return nn.Sequential(nn.Unflatten(1, (1, LENGTH)), nets.convnet1d(25, length=LENGTH, fused=True, seed=seed))


def epochs(steps: int, batch: int, n: int) -> int:
    """Passes over n samples that make about so many steps."""
    return max(1, round(steps * batch / n))


@torch.no_grad()
def evaluated(net: nn.Module, x: Tensor) -> Tensor:
    """Logits of one network, in chunks."""
    return torch.cat([net(part) for part in x.split(CHUNK)])


def accuracy(logits: Tensor, y: Tensor) -> float:
    """The share of samples whose largest logit is that of their label."""
    return float((logits.argmax(1) == y).double().mean())
