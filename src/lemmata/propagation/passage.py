"""One forward pass, watched: what each weight layer got and gave, and which activation came after it.

What is seen, by rule:

- a *weight layer* is a module that itself owns a parameter of two dimensions or more (linear, convolution, embedding,
  recurrent cell, attention as a whole, one's own). Its output, the *pre-activation*, is seen at every call; of a tuple
  the first tensor. A product with a parameter outside of such a module, `x @ self.parent.weight`, is not;
- an *activation* is a call of one of torch's elementwise nonlinearities (`activation_calls`), by a module or as a
  function. The first one of what was computed from a weight layer's output, before the next layer begins, is that
  layer's, whatever lies between them (normalisation, a residual sum, pooling). One within a layer is no earlier
  layer's. One composed of other operations, such as `x * torch.sigmoid(x)`, is seen as what of it torch names.

The pass works on copies where something could be overwritten in place. Nothing of the model stays changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn.utils.parametrize import is_parametrized
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from lemmata.errors import InvalidInput, LemmataError, UnknownName
from lemmata.propagation.activation_calls import STEEPEST, name_of


@dataclass(eq=False)
class Call:
    """One call of a weight layer: arguments, output in the graph, and the activation after it, if there is one.

    `others` are what else of a tuple went on in the graph, such as the last states of a recurrent layer.
    `activated` is the activation's output in the graph, `slope` its phi' entry by entry, and `direct` whether it got
    the layer's output itself, and unchanged.
    """

    name: str
    module: nn.Module
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    output: Tensor
    others: list[Tensor] = field(default_factory=list)
    activation: str | None = None
    activated: Tensor | None = None
    slope: Tensor | None = None
    direct: bool = False

    @property
    def input(self) -> Tensor | None:
        """The first tensor that the layer got, numbers without an axis (a time, say) apart."""
        given = (*self.arguments, *self.keywords.values())
        return next((each for each in given if isinstance(each, Tensor) and each.ndim), None)


def weight_layers(model: nn.Module, chosen: Sequence[str] | None = None) -> dict[str, nn.Module]:
    """The modules that own weights, by name; `chosen` names some of them (or prefixes of names).

    >>> list(weight_layers(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 1))))
    ['0', '3']
    """
    found = {name: module for name, module in model.named_modules() if _owns_weights(name, module)}
    if not found:
        raise InvalidInput(
            "the model has no weight layer: no module owns a parameter of two dimensions or more, as nn.Linear does"
        )
    if chosen is None:
        return found
    if isinstance(chosen, str) or not isinstance(chosen, Sequence) or not chosen:
        raise InvalidInput(f"layers = {chosen!r}; give a list of names, as {list(found)[:2]}")
    for name in chosen:
        if not any(full == name or full.startswith(f"{name}.") for full in found):
            raise UnknownName("layer", name, found)
    return {full: m for full, m in found.items() if any(full == n or full.startswith(f"{n}.") for n in chosen)}


def _owns_weights(name: str, module: nn.Module) -> bool:
    """Whether a module has a weight of its own, be it by a parametrisation (weight normalisation, say)."""
    if "parametrizations" in name.split("."):
        return False
    own = list(module.parameters(recurse=False))
    if is_parametrized(module):
        own += [getattr(module, each) for each in module.parametrizations]  # type: ignore[union-attr]
    return any(p.ndim >= 2 for p in own)


def owners(model: nn.Module, parameters: Sequence[str]) -> dict[str, nn.Module]:
    """The weight layers with one of these parameters in them, by name.

    >>> list(owners(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)), ["1.bias"]))
    ['1']
    """
    everywhere = weight_layers(model)
    found = {
        name: module
        for name, module in everywhere.items()
        if not name or any(each.startswith(f"{name}.") for each in parameters)
    }
    if not found:
        raise InvalidInput(f"none of {list(parameters)} belongs to a weight layer: {', '.join(everywhere)}")
    return found


class Passage(TorchFunctionMode):
    """Watches, as a context manager, the calls of `layers` and of activations; `calls` in order.

    All weight layers of the model must be in `boundaries`, so that an activation after one that is not watched is not
    taken for another's.
    """

    def __init__(self, layers: Mapping[str, nn.Module], boundaries: Mapping[str, nn.Module]):
        super().__init__()
        self.layers, self.boundaries = layers, boundaries
        self.calls: list[Call] = []
        self.open: Call | None = None
        self.end: Node | None = None  # where in the graph the output of the open call went on
        self.ends: set[Node | None] = set()  # and those of all calls
        self.count: Counter[str] = Counter()

    def __enter__(self) -> Passage:
        self.handles = [
            module.register_forward_hook(self._hook(name), with_kwargs=True) for name, module in self.boundaries.items()
        ]
        self.handles += [module.register_forward_pre_hook(self._begin) for module in self.boundaries.values()]
        self.handles += [module.register_forward_pre_hook(_apart, with_kwargs=True) for module in self.layers.values()]
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        for handle in self.handles:
            handle.remove()
        super().__exit__(*raised)

    def _begin(self, *_: Any) -> None:
        self.open = None

    def _hook(self, name: str) -> Callable[..., Any]:
        def hook(module: nn.Module, arguments: tuple, keywords: dict, output: Any) -> Any:
            self.open = None
            place = _first_tensor(output)
            if name not in self.layers or place is None:
                return None
            found = output if place < 0 else output[place]
            self.count[name] += 1
            label = name if self.count[name] == 1 else f"{name} ({self.count[name]})"
            self.open = call = Call(label or "model", module, arguments, keywords, found)
            self.calls.append(call)
            passed = found.clone()
            self.end = passed.grad_fn
            self.ends.add(self.end)

            def handed(each: Any) -> Any:
                if isinstance(each, Tensor) and each is not found and each.requires_grad:
                    call.others.append(each.clone())
                    return call.others[-1]
                return passed if each is found else each

            return tree_map(handed, output)

        return hook

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        u = args[0] if args else kwargs.get("input")
        if name is None or self.open is None or not isinstance(u, Tensor) or not self._descends(u):
            return func(*args, **kwargs)
        call, self.open = self.open, None
        call.activation, call.direct = name, u.grad_fn is self.end  # which a change in place moves on
        call.slope = _slope(func, u, args, kwargs)
        out = func(*args, **kwargs)
        call.activated = out.clone()  # the model may go on to overwrite it
        return out

    def _descends(self, u: Tensor) -> bool:
        """Whether u was computed from the open call's output; what led to other calls', which are earlier, was not."""
        seen: set[Node] = set()
        front = set() if u.grad_fn is None else {u.grad_fn}
        while front and self.end not in front:
            seen |= front
            front = {before for node in front - self.ends for before, _ in node.next_functions if before} - seen
        return bool(front)


def forward(run: Callable[[], Any], x: Tensor) -> Any:
    """Run the model's own code on samples x; what it raises becomes `InvalidInput`, as do passes without a graph.

    >>> forward(lambda: nn.Linear(2, 1)(torch.ones(3, 4)), torch.ones(3, 4))
    Traceback (most recent call last):
    lemmata.errors.InvalidInput: the model fails on samples (3, 4) in torch.float32: RuntimeError mat1 and mat2 shapes \
cannot be multiplied (3x4 and 2x1)
    """
    if torch.is_inference_mode_enabled():
        raise InvalidInput("torch.inference_mode keeps no graph, whatever is asked for; call this outside of it")
    try:
        return run()
    except LemmataError:
        raise
    except Exception as failed:
        raise InvalidInput(
            f"the model fails on samples {tuple(x.shape)} in {x.dtype}: {type(failed).__name__} {failed}"
        ) from failed


def require_recorded(calls: Sequence[Call]) -> None:
    """Refuse layers whose outputs are not finite, or hang on nothing that can be differentiated by."""
    for call in calls:
        if not bool(call.output.isfinite().all()):
            raise InvalidInput(
                f"layer {call.name!r} gives NaN or infinity; check its weights and the scale of the data"
            )
        if not call.output.requires_grad:
            raise InvalidInput(
                f"layer {call.name!r} runs without a graph (under torch.no_grad in the model's own code, say), so that "
                "neither its activation nor its gradient can be seen; leave it out by layers="
            )


def steepest(call: Call) -> float:
    """The largest |phi'| of the call's activation."""
    return STEEPEST[call.activation or "linear"]


def _slope(func: Any, u: Tensor, args: tuple, kwargs: dict) -> Tensor:
    """phi'(u), entry by entry; the function may be one that works in place."""
    with torch.enable_grad():
        at = u.detach().clone().requires_grad_()
        heights = func(at.clone(), *args[1:], **kwargs) if args else func(**{**kwargs, "input": at.clone()})
        return torch.autograd.grad(heights.sum(), at)[0]


def _apart(_: nn.Module, arguments: tuple, keywords: dict) -> tuple[tuple, dict]:
    """Arguments of the layer's own, so that a derivative by them is through this layer alone; equal ones stay one."""
    own: dict[int, Tensor] = {}

    def apart(each: Any) -> Any:
        if not isinstance(each, Tensor) or not each.is_floating_point():
            return each
        if id(each) not in own:
            own[id(each)] = each.clone() if each.requires_grad else each.clone().requires_grad_()
        return own[id(each)]

    return tuple(apart(each) for each in arguments), {name: apart(each) for name, each in keywords.items()}


def _first_tensor(output: Any) -> int | None:
    """Where the first floating tensor of an output is: -1 for the output itself, None where there is none."""
    if isinstance(output, Tensor):
        return -1 if output.is_floating_point() else None
    if type(output) is tuple:
        for place, each in enumerate(output):
            if isinstance(each, Tensor) and each.is_floating_point():
                return place
    return None
