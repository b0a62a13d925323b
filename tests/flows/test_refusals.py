"""What does not fit is refused by name where only the module behind the door knows it, and nothing wrong is taken."""

import math

import pytest
import torch
from torch import nn

from lemmata import flows
from lemmata.errors import InvalidInput
from lemmata.flows import control, regularised
from lemmata.flows.field import hold

X, Y = torch.ones(3, 2), torch.zeros(3, 2)


def made():
    return flows.Flow(flows.Plain(2, flows.PiecewiseConstant(8)), steps=8, method="forward-euler")


def hamiltonian():
    return flows.Flow(flows.Hamiltonian(2, flows.PiecewiseConstant(1)), steps=8, method="verlet")


class Timed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, t, y):
        return self.layer(y)


class Free(flows.layers.Residual):
    def velocity(self, y, *weights):
        return y


STATES = {"width": torch.ones(3, 7), "dtype": torch.ones(3, 2, dtype=torch.float64), "list": [1.0, 2.0], "none": None}


@pytest.mark.parametrize("wrong", STATES)
def test_modules_asked_directly(wrong):
    y = STATES[wrong]
    with pytest.raises(InvalidInput, match=r"Timed gave no velocity of a state .*; give states that it takes"):
        flows.ModuleField(Timed())(0.5, y)
    with pytest.raises(InvalidInput, match=r"gave no velocity of a state|y is|y: a"):
        regularised.Descent(regularised.SmoothPotential(2))(0.5, y)


def test_what_is_no_fault_of_the_state_is_not_called_one():
    """A refusal of the module's own comes through, and the cause of others is told."""

    class Refusing(nn.Module):
        def forward(self, t, y):
            raise InvalidInput("not on a Sunday")

    with pytest.raises(InvalidInput, match=r"^not on a Sunday"):
        flows.ModuleField(Refusing())(0.5, X)
    with pytest.raises(InvalidInput) as met:
        flows.ModuleField(Timed())(0.5, torch.ones(3, 7))
    assert isinstance(met.value.__cause__, RuntimeError)


@pytest.mark.parametrize("x", [torch.ones(3, 7), torch.ones(3, 2, dtype=torch.float64)], ids=["width", "dtype"])
def test_layers_before_a_flow_that_refuse_x(x):
    net = nn.Sequential(nn.Linear(2, 2), made())
    with pytest.raises(InvalidInput, match=rf"Sequential does not take x \(3, {x.shape[1]}\)"):
        flows.features(net, x)


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        (None, "shapes: NoneType"),
        ([(2, 2)], "shapes: list"),
        ({}, "shapes is empty"),
        ({"K": (0, 2)}, r"shapes\['K'\] = 0"),
        ({"K": (-1,)}, r"shapes\['K'\] = -1"),
        ({"K": (2.5,)}, r"shapes\['K'\] = 2.5"),
        ({"K": "ab"}, r"shapes\['K'\] = 'ab'"),
        ({"K": 3}, r"shapes\['K'\] = 3"),
        ({3: (2,)}, "3 cannot name a weight"),
        ({"a.b": (2,)}, "'a.b' cannot name a weight"),
    ],
    ids=str,
)
def test_shapes_of_weights(shapes, named):
    with pytest.raises(InvalidInput, match=named):
        Free(shapes, flows.PiecewiseConstant(2))
    assert Free({"s": ()}, flows.PiecewiseConstant(2)).coefficients["s"].shape == (2,)


@pytest.mark.parametrize(
    "options",
    [
        {"head": nn.Linear(5, 1)},
        {"head": lambda y: "text"},
        {"head": lambda: 1},
        {"loss": "cross_entropy"},
        {"loss": lambda outputs, targets: outputs},
        {"loss": lambda outputs: outputs},
    ],
    ids=["head's width", "head's answer", "head's arguments", "loss of classes", "loss of many", "loss of one"],
)
def test_losses_and_heads_that_do_not_fit_a_problem(options):
    with pytest.raises(InvalidInput):
        control.Problem(made(), X, Y, **options)


def test_a_network_is_no_list_of_flows():
    with pytest.raises(InvalidInput, match=r"a Sequential, which is a network; give its flows\.Flow"):
        control.Problem(nn.Sequential(made()), X, Y)
    assert len(control.Problem(nn.ModuleList([made(), made()]), X, Y).flows) == 2


@pytest.mark.parametrize("jump", [math.nan, math.inf])
def test_jumps_are_finite(jump):
    with pytest.raises(InvalidInput, match=r"jumps = \[.*\]; give finite times"):
        flows.integrate_adaptive(Timed(), X, T=1.0, jumps=[0.5, jump])


def test_a_seed_is_looked_at_though_nothing_is_drawn():
    with pytest.raises(InvalidInput, match="seed = 'a'"):
        flows.perturbation_growth(made(), X, seed="a")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)], ids=["no samples", "no numbers"])
@pytest.mark.parametrize("measure", [flows.spectrum, flows.perturbation_growth, flows.energy_drift])
def test_nothing_to_measure(measure, shape):
    with pytest.raises(InvalidInput, match="at least one"):
        measure(hamiltonian(), torch.ones(shape))


def test_an_energy_is_of_samples():
    with pytest.raises(InvalidInput, match=r"an energy is of states \(samples, \.\.\.\)"):
        flows.energy_drift(hamiltonian(), torch.ones(2))
    with pytest.raises(InvalidInput, match="has no samples"):
        flows.energy_drift(flows.Flow(flows.Hyperbolic(2, flows.PiecewiseConstant(1)), steps=2), torch.ones(2))


class Weights(flows.VectorField):
    """A field of one's own that gives these weights."""

    T = 1.0

    def __init__(self, given):
        super().__init__()
        self.given = given

    def weights_at(self, times, inside):
        return self.given(times)

    def velocity(self, y, *weights):
        return -y


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (lambda times: times, "a Tensor at"),
        (lambda times: None, "a NoneType at"),
        (lambda times: (times[:1],), r"\(\(1,\) torch.float64\) at"),
        (lambda times: (times, torch.ones(3, 2)), r"\(3, 2\) torch.float32\) at"),
        (lambda times: (torch.ones(()),), r"\(\(\) torch.float32\) at"),
    ],
    ids=["no tuple", "none", "too few", "another number", "a scalar"],
)
@pytest.mark.parametrize("way", ["store", "continuous"])
def test_a_field_whose_weights_are_no_stacks(given, named, way):
    flow = flows.Flow(Weights(given), steps=8, method="forward-euler", backward=way)
    with pytest.raises(InvalidInput, match=rf"Weights.weights_at gave .*{named} [0-9]+ times; give a tuple of tensors"):
        flow(X.clone().requires_grad_())


@pytest.mark.parametrize("y", [torch.ones(3, 0), torch.ones(3, 2, dtype=torch.float16)], ids=["no width", "half"])
@pytest.mark.parametrize("method", ["backward-euler", "trapezoidal", "exponential-euler"])
def test_states_of_which_no_linear_system_is_made(y, method):
    chosen = flows.method_of(method)
    held = hold(Weights(lambda times: ()), *[torch.zeros(len(chosen.nodes), dtype=torch.float64)] * 2)
    with pytest.raises(InvalidInput, match=r"the state has no numbers|not solved in torch.float16; give .* float32"):
        chosen.step(held, y, 0.1)


def test_a_state_of_eight_bits():
    with pytest.raises(InvalidInput, match="float8_e4m3fn; give floating-point states"):
        flows.integrate(Timed(), X.to(torch.float8_e4m3fn), steps=2, T=1.0)


class InPlace(Timed):
    def forward(self, t, y):
        return self.layer(y.mul_(0.5))


class Whole(Timed):
    def forward(self, t, y):
        return torch.ones_like(y, dtype=torch.int64)


@pytest.mark.parametrize(
    ("module", "named"), [(InPlace(), "overwrites its state in place"), (Whole(), "to a velocity .* in torch.int64")]
)
def test_fields_that_are_no_functions_of_their_state(module, named):
    with pytest.raises(InvalidInput, match=named):
        flows.integrate(module, X.clone(), steps=2, T=1.0)
    with pytest.raises(InvalidInput, match=named):
        flows.integrate_adaptive(module, X.clone(), T=1.0)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ["scripted", "frozen", "parallel"])
def test_modules_that_keep_their_weights_to_themselves(kind):
    if kind == "parallel":
        module = nn.DataParallel(Timed())
    else:
        module = torch.jit.script(Timed().eval())
        module = torch.jit.freeze(module) if kind == "frozen" else module
    with pytest.raises(InvalidInput, match=r"keeps its weights to itself.*; give the module that it was made of"):
        flows.integrate(module, X, steps=2, T=1.0)
    with pytest.raises(InvalidInput, match=r"keeps its weights to itself.*; give the module that it was made of"):
        flows.check_derivative(module, X, t=0.5)
    with pytest.raises(InvalidInput, match=r"keeps its weights to itself.*; give the module that it was made of"):
        regularised.Descent(module)


class Drawing(Timed):
    def forward(self, t, y):
        return nn.functional.dropout(self.layer(y), training=self.training)


@pytest.mark.parametrize("kind", [nn.BatchNorm1d(2), nn.Dropout(0.5)], ids=["normalised", "dropped"])
def test_layers_in_training_are_told_to_be_evaluated(kind):
    class In(Timed):
        def __init__(self):
            super().__init__()
            self.kind = kind

        def forward(self, t, y):
            return self.kind(self.layer(y))

    flow = flows.Flow(In(), steps=2, T=1.0)
    with pytest.raises(InvalidInput, match=r"in training: call its eval\(\)$"):
        flows.spectrum(flow, X)
    assert flows.spectrum(flow.eval(), X).values.shape == (2, 3, 2)


@pytest.mark.parametrize("check", [flows.check_derivative, flows.check_adjoint])
@pytest.mark.parametrize(
    ("layer", "y", "named"),
    [
        (Drawing(), torch.ones(40, 2), r"another value of the same y when it is called again.*call its eval\(\)"),
        (Whole(), X, "gave torch.int64; a layer with a derivative"),
        (Timed(), (), r"y is \(\); give a floating-point tensor"),
    ],
    ids=["draws", "whole numbers", "no state"],
)
def test_layers_that_cannot_be_checked(check, layer, y, named):
    """Two draws of 80 zeros or ones are the same with probability 2^-80."""
    with pytest.raises(InvalidInput, match=named):
        check(layer, y, t=0.5)


def mean_of_all(y):
    return (y @ torch.ones(7)).mean()


@pytest.mark.parametrize("loss", [mean_of_all, lambda: 1.0, nn.MSELoss()], ids=["another width", "no argument", "two"])
def test_losses_that_do_not_take_what_the_flow_gives(loss):
    asking = "the loss gave no value of .*; give a function of what the flow gives"
    with pytest.raises(InvalidInput, match=asking):
        flows.gradient_audit(Timed(), X, loss, steps=(2, 4), T=1.0)
    with pytest.raises(InvalidInput, match=asking):
        flows.parallel.gradient(made(), loss, X)
    with pytest.raises(InvalidInput, match=asking):
        flows.parallel.serial_gradient(made(), loss, X)


def test_other_arguments_that_torch_would_have_refused():
    with pytest.raises(InvalidInput, match=r"samples x is one number, 1.0; give samples \(n, \.\.\.\)"):
        flows.features(made(), torch.tensor(1.0))
    with pytest.raises(InvalidInput, match="'forward' cannot name a weight"):
        Free({"forward": (2,)}, flows.PiecewiseConstant(2))
    with pytest.raises(InvalidInput, match="gives complex numbers; give a function of real ones"):
        flows.Hyperbolic(2, flows.PiecewiseConstant(2), activation=lambda u: u + 0j)
    with pytest.raises(InvalidInput, match=r"head .* gave a dict; it must give one tensor"):
        control.Problem(made(), X, Y, head=lambda y: {"y": y})  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInput, match=r"guess: a tuple; give a torch tensor"):
        flows.parallel.mgrit(Timed(), X, steps=16, T=1.0, guess=())
    assert flows.integrate_adaptive(Timed(), X, T=1.0, most_steps=10**30).final.shape == X.shape


class Picking(nn.Module):
    def __init__(self, pick):
        super().__init__()
        self.pick, self.weight = pick, nn.Parameter(torch.ones(()))

    def forward(self, y):
        return self.pick(y)


@pytest.mark.parametrize(
    ("pick", "named"),
    [
        (lambda y: (y,), r"gave \(\(3, 2\) torch.float32\) for 3 samples"),
        (lambda y: None, "gave NoneType for 3 samples"),
        (lambda y: y[:, 0], r"gave \(3,\) torch.float32 for 3 samples"),
        (lambda y: y[1:], r"gave \(2, 2\) torch.float32 for 3 samples"),
        (lambda y: y @ torch.ones(7), "does not take what the flow gives"),
    ],
    ids=["a tuple", "none", "one axis", "fewer samples", "another width"],
)
def test_heads_behind_which_no_integral_fits(pick, named):
    with pytest.raises(InvalidInput, match=named):
        regularised.Costed(made(), {"kinetic": regularised.kinetic}, head=Picking(pick))(X)


@pytest.mark.parametrize("quantity", ["kinetic", "divergence", "roughness", "jacobians"])
@pytest.mark.parametrize(
    ("velocity", "named"),
    [
        (lambda: 1, "velocity gave nothing of states"),
        (lambda y: y @ torch.ones(7), "velocity gave nothing of states"),
        (lambda y: y + 0j, "velocity gave torch.complex64; it must give real"),
        (lambda y: torch.zeros_like(y).long(), "velocity gave torch.int64; it must give real"),
    ],
    ids=["no argument", "another width", "complex", "whole numbers"],
)
def test_velocities_that_are_none(quantity, velocity, named):
    with pytest.raises(InvalidInput, match=named):
        getattr(regularised, quantity)(velocity, X)


def test_covariances_of_which_no_root_is_taken():
    one, mean = torch.eye(2), torch.zeros(2)
    with pytest.raises(InvalidInput, match=r"S1 is in torch.float16, of which no root is taken"):
        regularised.GaussianTransport(mean, one, mean, one.half())


def test_numbers_of_the_theory_of_multigrid():
    parallel, mu = flows.parallel, torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    assert (parallel.propagation(0.5, mu, 2, 3) == parallel.propagation(0.5, 0.4, 2, 3)).all()
    with pytest.raises(InvalidInput, match="on meta; give a dense one that holds numbers"):
        parallel.propagation(0.5, torch.ones((), device="meta"), 2, 3)
    with pytest.raises(InvalidInput, match="every coarsening up to it is tried: give at most 1000000"):
        parallel.stable_coarsening([-1.0], 0.1, most=10**30)


def test_a_memory_beyond_all_iterations_is_all_of_them():
    def bowl(x, which):
        return (x * x).sum(1) / 2, x

    found = [control.batched_lbfgs(bowl, X, iterations=5, memory=memory)[0] for memory in (5, 10**30)]
    assert torch.equal(*found)
