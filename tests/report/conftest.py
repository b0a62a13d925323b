"""A study with every outcome, small enough to run in a moment: closed-form risks of gradient descent, and a table."""

import numpy as np
import pytest

from lemmata import laboratory
from lemmata.figures import Animation, Axis, Field, Figure, Panel, Reference, Series, film
from lemmata.report.content import gather
from lemmata.study import Config, Curve, Measurements, Paper, Study, kinds

ITERATIONS = np.unique(np.round(np.logspace(0, 3.4, 160)))
EPOCHS = {"true": 11.4, "shuffled": 11.8, "gaussian": 15.3, "random": 57.0}


class Descent(Config):
    slow_step: float = 0.1
    slow_scale: float = 0.15
    noise: float = 1.0


class Fit(Config):
    labels: str = "true"
    hidden: int = 512


def risk(k, *, slow_step=0.1, slow_scale=0.15, noise=1.0):
    """Heckel and Yilmaz (2021), Theorem 1, for two features and n = 10."""
    total = 0.0
    for step, scale, weight in ((0.1, 1.0, 0.45), (slow_step, slow_scale, 3.0)):
        shrink = 1 - step * scale**2
        total = total + (scale * weight) ** 2 * shrink ** (2 * k) + noise**2 / 10 * (1 - shrink**k) ** 2
    return total


def descend(configs):
    """Gradient descent on two features of different scales: $R(k) = sum_i s_i^2 theta_i^2 (1 - eta_i s_i^2)^(2k)$."""
    found = []
    for c in configs:
        rng = np.random.default_rng(c.seed)
        y = risk(ITERATIONS, slow_step=c.slow_step, slow_scale=c.slow_scale, noise=c.noise)
        y = y * (1 + 0.012 * rng.normal() + 0.0004 * rng.normal(size=len(y)).cumsum())
        loss = Curve(ITERATIONS, 1 / ITERATIONS)
        status = "diverged" if c.slow_step == 4.0 and c.seed == 3 else "ok"
        found.append(Measurements.of(status, risk=Curve(ITERATIONS, y), best=y.min(), loss=loss, residual=1e-11 * y[0]))
    return found


def fit(configs):
    """Train until the loss is below 0.01."""
    found = []
    for c in configs:
        rng = np.random.default_rng([c.seed, len(c.labels)])
        error = 0.0 if c.hidden > 10 or c.labels == "true" else 0.8
        epochs = EPOCHS[c.labels] + rng.normal()
        found.append(Measurements.of(train_error=error, epochs=epochs, test_error=0.09 + 0.01 * rng.normal()))
    return found


def risk_curves(table):
    own = table[~table["control"]]
    panels = []
    for step, name in ((0.1, "one step size"), (4.3, "a step size per feature")):
        rows = own[own["slow_step"] == step]
        theory = Series(label="Theorem 1", x=ITERATIONS, y=risk(ITERATIONS, slow_step=step), role="theory")
        panels.append(
            Panel(
                title=name,
                x=Axis(label="iteration", log=True),
                y=Axis(label="excess risk"),
                series=[Series.over_seeds(name, rows, y="risk"), theory],
                references=[Reference(label="paper: best 0.1669", value=0.1669)],
            )
        )  # fmt: skip
    caption = "Excess risk of the iterates. With one step size it falls, rises and falls again."
    return Figure(name="risk", title="Risk of the iterates", caption=caption, panels=panels)


def epochs_bars(table):
    own = table[~table["control"]]
    order = ("true", "shuffled", "gaussian", "random")
    series = Series.over_seeds("MLP 1x512 <b>", own, x="labels", y="epochs", order=order, style="bars")
    panel = Panel(x=Axis(label="labels", ticks=order), y=Axis(label="time to fit", unit="epochs"), series=[series])
    return Figure(name="epochs", title="Epochs to fit", caption="Random labels take longest.", panels=[panel])


def landscape(table):
    """A bowl with a hole, as contours under a path, and as a surface."""
    x = np.linspace(-1, 1, 21)
    z = 0.1 + x**2 + 3 * x[:, None] ** 2
    z[2:5, 2:5] = np.nan
    axes = {"x": Axis(label="first <b> direction"), "y": Axis(label="second direction")}
    path = Series(label="path", x=np.cos(4 * x) * 0.8, y=0.5 * x)
    fields = [Field(label="loss", unit="nats", x=x, y=x, z=z, log=True, kind=kind) for kind in ("contour", "surface")]
    panels = [Panel(**axes, fields=[field], series=[path], title=f"a {field.kind}", equal=True) for field in fields]
    return Figure(name="landscape", title="Landscape", caption="A bowl with a hole.", panels=panels)


def walk(table):
    """A point that moves along a line."""
    axes = {"x": Axis(label="first", limits=(0, 1)), "y": Axis(label="second", limits=(0, 1))}
    line = Series(label="path", x=[0, 1], y=[0, 1], role="theory")
    frames = [Panel(**axes, series=[line, Series(label="point", x=[t], y=[t], style="points")]) for t in (0, 0.5, 1)]
    return film("walk", "A walk", "A point walks.", Animation(label="time", values=[0, 1, 2], frames=frames))


def broken_figure(table):
    raise ValueError("no <such> column")


def make_study():
    paper = Paper(
        key="heckel2021", title="Early stopping in deep networks: double descent and how to eliminate it",
        authors=("Reinhard Heckel", "Fatih Furkan Yilmaz"), year=2021, venue="ICLR", arxiv="2007.10099",
        entry="inproceedings",
    )  # fmt: skip
    study = Study(
        "sample", paper=paper, question="Why does the risk fall twice, and can one choose $eta_i$ so that it does not?",
        notes="The risk is $R(k) approx sigma^2 + sum_i s_i^2 theta_i^2 (1 - eta_i s_i^2)^(2k)$; it costs $5 or $6.",
    )  # fmt: skip
    linear = study.experiment("linear", config=Descent, sweep={"slow_step": [0.1, 4.3]})
    linear.trial(descend)
    one, scaled = {"slow_step": 0.1}, {"slow_step": 4.3}
    claim = linear.claim(
        "The risk has two descents", where="Section 2, Figure 2", select=one, paper=30, within=(20, 45),
        kind=kinds.shape.double_descent(of="risk", height=0.002, guard="loss"), quoted="peak at iteration 30",
    )  # fmt: skip
    claim.control("equal scales have one minimum", slow_scale=1.0)
    claim.control("a slower feature", moves="the peak", to=55, slow_step=0.02)
    linear.claim(
        "The best early-stopped risk is $0.1669$", where="Section 2", select=one, kind=kinds.value(of="best"),
        paper=0.1669, margin=0.01,
    ).control("less noise", noise=0.5)  # fmt: skip
    linear.claim(
        "Scaling the step sizes lowers the best risk by 40 %", where="Section 2", paper=0.6, margin=0.05,
        kind=kinds.ratio(of="best", over="slow_step", between=(0.1, 4.3)), note="The paper prints 0.1340 and 0.1669.",
    )  # fmt: skip
    linear.claim(
        "The iterates solve the recursion exactly", where="Theorem 1", kind=kinds.exact(of="residual", at_most=1e-9)
    )
    linear.claim(
        "<script>alert('claim')</script> & co", where="</script><img src=x onerror=alert(1)>", select=scaled,
        kind=kinds.value(of="best"), paper=0.134, margin=0.0004, quoted="<b>0.1340</b>",
    )  # fmt: skip
    linear.claim("A wide margin shows nothing", where="nowhere", select=one, kind=kinds.value(of="best"), paper=0.2,
                 margin=0.5).control("anything", noise=0.5)  # fmt: skip
    linear.claim("A ResNet-18 on CIFAR-10 behaves alike", where="Section 4", untestable="CIFAR-10 cannot be had here")
    nets = study.experiment("nets", config=Fit, sweep={"labels": list(EPOCHS)}, data="digits")
    nets.trial(fit)
    nets.claim("Every network fits", where="Table 1", kind=kinds.exact(of="train_error", at_most=0.0)).control(
        "five hidden units", hidden=5
    )
    nets.claim(
        "Random labels take longer by a small factor", where="Figure 1b", paper=3.1, within=(2, 10),
        kind=kinds.ratio(of="epochs", over="labels", between=("true", "random")),
    )  # fmt: skip
    nets.claim("Order of the inputs", where="Figure 1a",
               kind=kinds.ordering(of="epochs", over="labels", order=("true", "gaussian", "random")))  # fmt: skip
    linear.figure(risk_curves)
    linear.figure(broken_figure)
    nets.figure(epochs_bars)
    nets.figure(landscape)
    nets.figure(walk)
    return study


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """The study run, recorded and judged."""
    return laboratory.run(make_study(), store=tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def page(run, tmp_path_factory):
    """The path of its report."""
    return run.report(tmp_path_factory.mktemp("report") / "new" / "sample.html", command="lemmata run 'a & b' <x>")


@pytest.fixture(scope="session")
def content(run):
    return gather(run.study, run.plan, run.tables, run.verdicts, store=run.store)
