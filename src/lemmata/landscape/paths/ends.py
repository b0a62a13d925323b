"""The networks that M paths run between: read, checked, stacked, and filled in with points on the straight lines."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.landscape.batch_norm import normalisations
from lemmata.landscape.states import Place, State, stacked, state_of, template_of


@dataclass(frozen=True, eq=False)
class Ends:
    """Whole states of the M starts and ends, {name: (M, ...)}, and copies of the model with the buffers of each start.

    `names` are the parameters, each once; `aliases` the other names of tied ones.
    """

    template: nn.Module
    a: State
    b: State
    names: list[str]
    aliases: dict[str, str]

    @classmethod
    def of(cls, model: nn.Module, starts: Sequence[Place], ends: Sequence[Place]) -> Ends:
        """Read the ends of paths; raises `InvalidInput` for those that do not fit, or differ in what does not move."""
        if not len(starts) or len(starts) != len(ends):
            raise InvalidInput(f"{len(starts)} starts and {len(ends)} ends; give as many of both, one at least")
        template = template_of(model)
        a = stacked([state_of(model, place, f"start {i}") for i, place in enumerate(starts)])
        b = stacked([state_of(model, place, f"end {i}") for i, place in enumerate(ends)])
        names = [name for name, _ in template.named_parameters()]
        first = {id(p): name for name, p in template.named_parameters()}
        every = template.named_parameters(remove_duplicate=False)
        aliases = {name: first[id(p)] for name, p in every if first[id(p)] != name}
        _same_buffers(template, a, b, {*names, *aliases})
        return cls(template, a, b, names, aliases)

    def __len__(self) -> int:
        return len(self.a[self.names[0]])

    @property
    def models(self) -> list[nn.Module]:
        """A network for each path at its start, its parameters to be differentiated by."""
        made = []
        for i in range(len(self)):
            one = copy.deepcopy(self.template).requires_grad_(True)
            one.load_state_dict({name: tensor[i] for name, tensor in self.a.items()})
            made.append(one)
        return made

    def straight(self, between: int) -> State:
        """The parameters of the ends and of evenly spaced points between them: {name: (M, between + 2, ...)}."""
        return {name: self._line(name, between) for name in self.names}

    def completed(self, control: State) -> State:
        """Parameters (M, K + 2, ...) with tied names and buffers added, these interpolated between the ends."""
        between = next(iter(control.values())).shape[1] - 2
        found = {**control, **{name: control[other] for name, other in self.aliases.items()}}
        return {name: found[name] if name in found else self._line(name, between) for name in self.a}

    def _line(self, name: str, between: int) -> torch.Tensor:
        a, b = self.a[name], self.b[name]
        if not a.is_floating_point():
            return torch.stack([a] * (between + 2), 1)
        shares = [k / (between + 1) for k in range(between + 2)]
        return torch.stack([a * (1 - t) + b * t if 0 < t < 1 else (b if t else a) for t in shares], 1)


def _same_buffers(template: nn.Module, a: State, b: State, parameters: set[str]) -> None:
    """Refuse ends that differ in a buffer other than a running statistic: it does not move along a trained curve."""
    norms = {id(norm) for norm in normalisations(template)}
    free = {f"{name}.{s}".lstrip(".") for name, m in template.named_modules() if id(m) in norms
            for s in ("running_mean", "running_var", "num_batches_tracked")}  # fmt: skip
    for name in a.keys() - parameters - free:
        if not a[name].equal(b[name]):
            raise InvalidInput(
                f"the ends differ in the buffer {name!r}, which does not move along a path that is trained; make it "
                "the same at both"
            )
