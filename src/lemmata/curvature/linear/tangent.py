"""From the graph of a function to that of its derivative, in two parts: what is computed once, and what each time.

    y = F(a, b),   dy = dF/da da:        kept = prepare(a, b)        dy = apply(da, kept)

Every operation of F is followed by its tangent (forward mode, Griewank and Walther, 2008, chapter 3; for a gradient F
this is Pearlmutter's R-operator, 1994). Whatever does not depend on da goes to `prepare`, so that `apply` holds only
the linear map itself: of a network's Hessian about two gradients' work.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch.func import jvp, vjp
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from lemmata.curvature.linear.graph import Untraceable, function_graph
from lemmata.curvature.linear.rules import RULES, STILL, aten
from lemmata.objective import load_forward_mode


@dataclass(frozen=True)
class Derivative:
    """`prepare` takes the values of the function and gives its outputs and then what to keep; `apply` takes tangents
    and what was kept, and gives the tangents of those outputs that move: a tensor each, or the two factors of a matrix
    product that is left to be written where it is wanted. `many` is the same to be vmapped: tensors, and no operation
    that has no rule for batches.
    """

    prepare: GraphModule
    apply: GraphModule
    many: GraphModule
    moves: tuple[bool, ...]


def derivative(graph: GraphModule, moving: int, values: Sequence[Tensor], *, repeated: int = 0) -> Derivative:
    """Differentiate the graph by its first `moving` arguments; `values` are examples of all.

    The `repeated` arguments after those are the same tensors again, held still: once the tangents are written they are
    taken for one, and what was computed twice is computed once. Raises `Untraceable` for an operation without a
    derivative.
    """
    writer = _Writer(graph, moving, values)
    writer.write()
    outputs, tangents = writer.results()
    tangents[0] = None  # the first output is only checked
    whole = writer.graph
    whole.output((*outputs, *tangents))
    inputs = [node for node in whole.nodes if node.op == "placeholder"][: len(values)]
    for first, again in zip(inputs[:repeated], inputs[moving : moving + repeated], strict=True):
        again.replace_all_uses_with(first)
    _merge(whole, {node for node in whole.nodes if node.op == "placeholder"} - set(inputs))
    whole.eliminate_dead_code()
    return _split(graph, whole, len(values), len(outputs))


class _Writer:
    """Copies a graph and writes after each operation its tangent; the `Carrier` of the rules."""

    def __init__(self, module: GraphModule, moving: int, values: Sequence[Tensor]):
        self.module, self.graph = module, Graph()
        self.values, self.tangents = {}, {}
        self.examples: dict[Node, Any] = {}
        self.derivatives: dict[Any, GraphModule] = {}
        inputs = [node for node in module.graph.nodes if node.op == "placeholder"]
        self.examples.update(zip(inputs, values, strict=True))
        for node in inputs:
            self.values[node] = self.graph.node_copy(node)
        for i, node in enumerate(inputs[:moving]):
            self.tangents[node] = self.graph.placeholder(f"tangent_{i}")

    def value(self, argument: Any) -> Any:
        return map_arg(argument, lambda node: self.values[node])

    def tangent(self, argument: Any) -> Any:
        return self.tangents.get(argument) if isinstance(argument, Node) else None

    def call(self, operation: Any, *args: Any, **kwargs: Any) -> Node:
        return self.graph.call_function(operation, args, kwargs)

    def total(self, *terms: Node | None) -> Node | None:
        present = [term for term in terms if term is not None]
        result = present[0] if present else None
        for term in present[1:]:
            result = self.call(aten.add_.Tensor, result, term)
        return result

    def write(self) -> None:
        for node in self.module.graph.nodes:
            if node.op in ("placeholder", "output"):
                continue
            self.values[node] = self.graph.node_copy(node, self.value)
            if node.target in (aten.view.default, aten._unsafe_view.default):
                self.values[node].target = aten.reshape.default  # the tensors may come in another layout
            moves = any(source in self.tangents for source in node.all_input_nodes)
            if node.op != "call_function" or not moves or node.target in STILL:
                continue
            tangent = RULES[node.target](self, node) if node.target in RULES else self.derived(node)
            if tangent is not None:
                self.tangents[node] = tangent

    def results(self) -> tuple[list[Node], list[Node | None]]:
        (out,) = (node for node in self.module.graph.nodes if node.op == "output")
        outputs = list(out.args[0])
        return [self.values[node] for node in outputs], [self.tangents.get(node) for node in outputs]

    def derived(self, node: Node) -> Any:
        """The tangent of an operation without a rule, by torch's own derivative, twice backward or forward."""
        if not _floating(self.example(node)):
            return None
        sources = list(node.all_input_nodes)  # all, since values that stay still differ from batch to batch too
        moving = [i for i, source in enumerate(sources) if source in self.tangents]
        if not all(isinstance(self.example(s), Tensor) for s in sources) or any(
            isinstance(self.tangents[sources[i]], tuple) for i in moving
        ):
            raise Untraceable(f"no rule for {node.target}")

        key = self._like(node, sources, moving)
        if key not in self.derivatives:
            self.derivatives[key] = _derivative_of(node, moving, [self.example(source) for source in sources])
        given = [self.values[source] for source in sources] + [self.tangents[sources[i]] for i in moving]
        return self.inlined(self.derivatives[key], node, given)

    def _like(self, node: Node, sources: list[Node], moving: list[int]) -> Any:
        """What operations share if their derivatives are the same."""
        form = map_arg((node.args, dict(node.kwargs)), lambda n: f"argument {sources.index(n)}")
        shapes = [(self.example(source).shape, self.example(source).dtype) for source in sources]
        return str(node.target), str(form), str(shapes), tuple(moving)

    def inlined(self, inner: GraphModule, node: Node, given: list[Node]) -> Any:
        """Write a graph of (values, tangents) -> tangents into this one."""
        own: dict[Node, Any] = {}
        inputs = iter(given)
        tangents: tuple = ()
        for part in inner.graph.nodes:
            if part.op == "placeholder":
                own[part] = next(inputs)
            elif part.op == "get_attr":
                name = f"_{self.values[node].name}_{part.name}"
                setattr(self.module, name, getattr(inner, str(part.target)))
                own[part] = self.graph.get_attr(name)
            elif part.op == "call_function":
                own[part] = self.graph.node_copy(part, lambda n: own[n])
                if part.target in (aten.view.default, aten._unsafe_view.default):
                    own[part].target = aten.reshape.default
            else:
                tangents = tuple(own[n] for n in part.args[0])
        return tangents if isinstance(self.example(node), tuple | list) else tangents[0]

    def example(self, node: Node) -> Any:
        """The value of a node at the example arguments."""
        if node not in self.examples:
            if node.op == "get_attr":
                self.examples[node] = getattr(self.module, node.target)  # type: ignore[arg-type]
            else:
                args, kwargs = map_arg((node.args, dict(node.kwargs)), self.example)
                self.examples[node] = node.target(*args, **kwargs)  # type: ignore[operator]
        return self.examples[node]


def _tensors(outputs: Any) -> tuple[Tensor, ...]:
    return tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)


def _floating(example: Any) -> bool:
    return any(isinstance(tensor, Tensor) and tensor.is_floating_point() for tensor in _tensors(example))


def _derivative_of(node: Node, moving: list[int], examples: list[Tensor]) -> GraphModule:
    """The derivative of a node's operation, or of what it is composed of where it has none itself."""

    def calling(target: Any) -> Any:
        def operation(*values: Tensor) -> Any:
            own = dict(zip(node.all_input_nodes, values, strict=True))
            args, kwargs = map_arg((node.args, dict(node.kwargs)), lambda n: own[n])
            return _tensors(target(*args, **kwargs))

        return operation

    try:
        return _linearised(calling(node.target), moving, examples)
    except Untraceable:
        if node.target not in decomposition_table:
            raise
        return _linearised(calling(decomposition_table[node.target]), moving, examples)


def _linearised(operation: Any, moving: list[int], values: list[Tensor]) -> GraphModule:
    """Trace the derivative of an operation by some of its values: a graph of (values, tangents) -> tangents."""
    load_forward_mode()
    n = len(values)
    floating = [i for i, value in enumerate(values) if value.is_floating_point()]

    def of(given: Sequence[Tensor], chosen: list[int]) -> tuple[Any, tuple[Tensor, ...]]:
        def part(*moved: Tensor) -> Any:
            own = dict(zip(chosen, moved, strict=True))
            return operation(*(own.get(i, value) for i, value in enumerate(given)))

        return part, tuple(given[i] for i in chosen)

    def twice_backward(*both: Tensor) -> Any:
        part, at = of(both[:n], moving)
        outputs, pull = vjp(part, *at)[:2]
        zeros = tuple(torch.zeros_like(output) for output in outputs)
        return vjp(lambda *u: pull(u), *zeros)[1](tuple(both[n:]))

    def forward(*both: Tensor) -> Any:
        part, at = of(both[:n], floating)
        tangents = dict(zip(moving, both[n:], strict=True))
        # zeros that are there: torch's rules trip over tangents that are left out
        return jvp(part, at, tuple(tangents.get(i, torch.zeros_like(both[i])) for i in floating))[1]

    examples = [*values, *(values[i] for i in moving)]
    try:
        return function_graph(twice_backward, examples)
    except Untraceable:
        return function_graph(forward, examples)


def _dependent(graph: Graph, sources: Iterable[Node]) -> set[Node]:
    """The nodes that depend on these, and these."""
    found = set(sources)
    for node in graph.nodes:
        if node.op == "call_function" and any(source in found for source in node.all_input_nodes):
            found.add(node)
    return found


def _merge(graph: Graph, tangents: Iterable[Node]) -> None:
    """Compute once what is computed twice by the same operation on the same values (tangents are added to in place)."""
    moving = _dependent(graph, tangents)
    seen: dict[Any, Node] = {}
    for node in list(graph.nodes):
        if node.op not in ("call_function", "get_attr") or node in moving:
            continue
        key = (node.op, node.target, _hashable(node.args), _hashable(node.kwargs))
        if key in seen:
            node.replace_all_uses_with(seen[key])
            graph.erase_node(node)
        else:
            seen[key] = node


def _hashable(argument: Any) -> Any:
    if isinstance(argument, list | tuple):
        return tuple(_hashable(item) for item in argument)
    if isinstance(argument, dict):
        return tuple((name, _hashable(item)) for name, item in argument.items())
    return (type(argument), argument)


def _split(module: GraphModule, whole: Graph, values: int, outputs: int) -> Derivative:
    """Part the graph into what does not depend on the tangents and what does."""
    inputs = [node for node in whole.nodes if node.op == "placeholder"]
    (out,) = (node for node in whole.nodes if node.op == "output")
    results, dependent = out.args[0], _dependent(whole, inputs[values:])
    crossing = {
        source: None
        for node in whole.nodes
        if node in dependent
        for source in node.all_input_nodes
        if source not in dependent
    }
    once, each = Graph(), Graph()
    own: dict[Node, Node] = {}
    for node in whole.nodes:
        if node.op != "output" and node not in dependent:
            own[node] = once.node_copy(node, lambda n: own[n])
    once.output((*(own[node] for node in results[:outputs]), *(own[node] for node in crossing)))
    once.eliminate_dead_code()
    own = {node: each.node_copy(node) for node in inputs[values:]}
    own.update({node: each.placeholder(f"kept_{node.name}") for node in crossing})
    for node in whole.nodes:
        if node in dependent and node not in own:
            own[node] = each.node_copy(node, lambda n: own[n])
    moves = tuple(node in dependent for node in results[outputs:])
    each.output(tuple(own[node] for node in results[outputs:] if node in dependent))
    single = copy.deepcopy(each)
    _multiply_late(single)
    return Derivative(GraphModule(module, once), GraphModule(module, single), GraphModule(module, each), moves)


def _multiply_late(graph: Graph) -> None:
    """Add a product of matrices to a tangent while it is formed, and leave those that are outputs to the caller."""
    for node in list(graph.nodes):
        term = node.args[1] if node.target is aten.add_.Tensor else None
        if isinstance(term, Node) and term.target is aten.mm.default and len(term.users) == 1:
            node.target, node.args = aten.addmm_.default, (node.args[0], *term.args)
            graph.erase_node(term)
    (out,) = (node for node in graph.nodes if node.op == "output")
    out.args = (tuple(_factors(node) for node in out.args[0]),)
    graph.eliminate_dead_code()


def _factors(node: Node) -> Any:
    """The factors of a product of two matrices that nothing else needs; any other node itself."""
    return tuple(node.args) if node.target is aten.mm.default and len(node.users) == 1 else node
