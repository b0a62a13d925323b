"""Training of what is left: against a loop written by hand, the parametrisation, and smaller networks."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lemmata import nets, pruning
from lemmata.errors import InvalidInput
from lemmata.training import SGD, Adam, Probe, train
from lemmata.training.streams import derived

RULES = {
    "sgd": SGD(lr=0.1),
    "momentum": SGD(lr=0.05, momentum=0.9, weight_decay=1e-2),
    "nesterov": SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-2),
    "adam": Adam(lr=0.01),
    "adamw": Adam(lr=0.01, weight_decay=0.1, decoupled=True),
    "layers": Adam(lr=[0.01, 0.02, 0.03], weight_decay=1e-2, lr_scale={"output": 0.5}),
}


def samples(n: int = 50, inputs: int = 6):
    draw = torch.Generator().manual_seed(7)
    x = torch.randn(n, inputs, generator=draw, dtype=torch.float64)
    return x, (x[:, 0] * x[:, 1] > 0).long()


def networks(count: int = 3):
    return [nets.mlp(6, [8, 5], 2, seed=seed, dtype=torch.float64) for seed in range(count)]


def random_masks(models, densities=(0.3, 0.5, 0.8)):
    draw = torch.Generator().manual_seed(3)
    return {
        name: torch.stack(
            [
                torch.rand(model.get_parameter(name).shape, generator=draw) < d
                for model, d in zip(models, densities, strict=True)
            ]
        )
        for name in pruning.prunable(models[0])
    }


@pytest.mark.parametrize("rule", RULES)
def test_moving_what_is_left_is_training_the_parametrised_networks(rule: str):
    """Three members with masks of different sizes, 4 epochs in batches; float64, 1e-9 for the order of sums and for the
    moments of Adam, whose quotients of small numbers amplify it. What is pruned is exactly zero.
    """
    (x, y), models = samples(), networks()
    masks = random_masks(models)
    options = {"epochs": 4, "batch_size": 8, "seeds": [5, 6, 7]}
    found = train(models, x, y, optimiser=pruning.Pruned(RULES[rule], masks), **options)
    sparse = [pruning.masked(m, {n: mask[i] for n, mask in masks.items()}) for i, m in enumerate(models)]
    other = train(sparse, x, y, optimiser=RULES[rule], **options)
    for i in range(3):
        plain = pruning.plain(other.model(i))
        for name, parameter in found.model(i).named_parameters():
            torch.testing.assert_close(parameter, plain.get_parameter(name), rtol=1e-9, atol=1e-9)
            if name in masks:
                assert not parameter[~masks[name][i]].any()


@pytest.mark.parametrize("rule", ["momentum", "adamw"])
def test_what_is_pruned_is_zero_after_every_step(rule: str):
    (x, y), models = samples(), networks()
    masks, seen = random_masks(models), []

    def after(step, ensemble, members):
        states = ensemble.states()
        assert all(not states[name][~mask].any() for name, mask in masks.items())
        seen.append(step)

    rule_ = pruning.Pruned(RULES[rule], masks, after=after)
    train(models, x, y, optimiser=rule_, epochs=3, batch_size=20)
    assert seen == list(range(10))


def test_a_network_without_a_unit_trains_like_the_smaller_one():
    """A unit whose outgoing weights are pruned has no gradient: the others train as if it was not there; 1e-12."""
    (x, y), net = samples(), nets.mlp(6, [4], 2, seed=1, dtype=torch.float64)
    masks = {"output.weight": torch.ones(1, 2, 4, dtype=torch.bool)}
    masks["output.weight"][0, :, 3] = False
    small = nets.mlp(6, [3], 2, seed=0, dtype=torch.float64)
    with torch.no_grad():
        small.hidden1.weight.copy_(net.hidden1.weight[:3])
        small.hidden1.bias.copy_(net.hidden1.bias[:3])
        small.output.weight.copy_(net.output.weight[:, :3])
        small.output.bias.copy_(net.output.bias)
    options = {"epochs": 5, "batch_size": 10, "seeds": [0]}
    sparse = train([net], x, y, optimiser=pruning.Pruned(Adam(lr=0.01), masks), **options).model(0)
    whole = train([small], x, y, optimiser=Adam(lr=0.01), **options).model(0)
    torch.testing.assert_close(sparse.hidden1.weight[:3], whole.hidden1.weight, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sparse.output.weight[:, :3], whole.output.weight, rtol=1e-12, atol=1e-12)


def test_members_that_diverge_do_not_disturb_the_others():
    """The middle one has a step size of 1e200; momentum is kept across its leaving."""
    (x, y), models = samples(), networks()
    masks = random_masks(models)
    options = {"epochs": 4, "batch_size": 10}
    rates, seen = [0.1, 1e200, 0.05], []
    rule = pruning.Pruned(
        SGD(lr=rates, momentum=0.9), masks, after=lambda step, ensemble, members: seen.append(members.tolist())
    )
    found = train(models, x, y, optimiser=rule, seeds=[1, 2, 3], **options)
    assert (seen[0], seen[-1]) == ([0, 1, 2], [0, 2])
    assert found.diverged.tolist() == [False, True, False]
    for i in (0, 2):
        own = {name: mask[i : i + 1] for name, mask in masks.items()}
        rule = pruning.Pruned(SGD(lr=rates[i], momentum=0.9), own)
        alone = train([models[i]], x, y, optimiser=rule, seeds=[i + 1], **options).model(0)
        for name, parameter in found.model(i).named_parameters():
            torch.testing.assert_close(parameter, alone.get_parameter(name), rtol=1e-10, atol=1e-12)


def test_steps_that_are_passed_over_leave_the_rest_of_the_training():
    """Plain SGD with a schedule, from the weights after 7 of 20 steps: the weights of all of them, bit for bit."""
    (x, y), models, kept = samples(), networks(2), {}

    def after(step, ensemble, members):
        if step == 7:
            kept.update({name: t.clone() for name, t in ensemble.states().items()})

    options = {"epochs": 4, "batch_size": 10, "seeds": [1, 2], "schedule": lambda step: 1 / (1 + step)}
    whole = train(models, x, y, optimiser=pruning.Pruned(SGD(lr=0.3), after=after), **options)
    later = [nets.mlp(6, [8, 5], 2, seed=9, dtype=torch.float64) for _ in models]
    for i, model in enumerate(later):
        model.load_state_dict({name: t[i] for name, t in kept.items()})
    rest = train(later, x, y, optimiser=pruning.Pruned(SGD(lr=0.3), skip=7), **options)
    for name, tensor in whole.states.items():
        assert torch.equal(tensor, rest.states[name])


def test_convolutions_and_batch_normalisation_are_trained_too():
    """The general path of `train`: masks on a convolution, running statistics untouched by pruning; 1e-10."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 1, 6, 6, generator=draw, dtype=torch.float64), torch.arange(30) % 3
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    ).double()
    masks = {name: torch.rand((1, *net.get_parameter(name).shape), generator=draw) < 0.4 for name in ("0.weight",)}
    options = {"epochs": 3, "batch_size": 10, "seeds": [4]}
    found = train([net], x, y, optimiser=pruning.Pruned(Adam(lr=0.01), masks), **options).model(0)
    sparse = pruning.masked(net, {"0.weight": masks["0.weight"][0]})
    other = pruning.plain(train([sparse], x, y, optimiser=Adam(lr=0.01), **options).model(0))
    for name, tensor in found.state_dict().items():
        torch.testing.assert_close(tensor, other.state_dict()[name], rtol=1e-8, atol=1e-10)
    assert not found.get_parameter("0.weight")[~masks["0.weight"][0]].any()


def test_a_loop_written_by_hand_finds_the_same_tickets():  # noqa: PLR0912  (one loop, to be read in one piece)
    """Iterative pruning with torch.optim.Adam and masks multiplied in, the data orders being known: 3 rounds, 2 seeds,
    rewinding to step 0 and to step 6. Equal masks; weights to 1e-9 (float64).
    """
    (x, y), loss = samples(40), cross_entropy
    for rewind in (0, 6):
        found = pruning.iterative_magnitude(
            [nets.mlp(6, [9], 2, seed=s, dtype=torch.float64) for s in (3, 4)], (x, y), seeds=[3, 4], rounds=3,
            share=0.3, shares={"output": 0.15}, rewind=rewind, optimiser=Adam(lr=0.02), epochs=5, batch_size=10,
            keep_weights=True,
        )  # fmt: skip
        for i, seed in enumerate((3, 4)):
            net = nets.mlp(6, [9], 2, seed=seed, dtype=torch.float64)
            layers = {"hidden1.weight": 0.3, "output.weight": 0.15}
            masks = {name: torch.ones_like(net.get_parameter(name)) for name in layers}
            start = None
            for r in range(4):
                if start is not None:
                    net.load_state_dict(start)
                rule = torch.optim.Adam(net.parameters(), lr=0.02)
                order = torch.Generator().manual_seed(derived([seed], r)[0])
                step = 0
                for _ in range(5):
                    for rows in torch.randperm(40, generator=order).split(10):
                        if r == 0 and step == rewind:
                            start = {name: t.clone() for name, t in net.state_dict().items()}
                        if r and step < rewind:
                            step += 1
                            continue
                        with torch.no_grad():
                            for name, mask in masks.items():
                                net.get_parameter(name).mul_(mask)
                        rule.zero_grad()
                        loss(net(x[rows]), y[rows]).backward()
                        for name, mask in masks.items():
                            net.get_parameter(name).grad.mul_(mask)
                        rule.step()
                        step += 1
                for name, mask in masks.items():
                    assert torch.equal(found.masks[r][name][i], mask.bool())
                for name, parameter in net.named_parameters():
                    torch.testing.assert_close(found.model(r, i).get_parameter(name), parameter, rtol=1e-9, atol=1e-9)
                for name, share in layers.items():
                    weight, mask = net.get_parameter(name).detach(), masks[name]
                    gone = round(share * int(mask.sum()))
                    alive = mask.flatten().nonzero().flatten()
                    ranked = alive[weight.flatten()[alive].abs().argsort()]
                    mask.view(-1)[ranked[:gone]] = 0
        assert torch.equal(found.starts["output.bias"][0], start_of(rewind, x, y))


def start_of(rewind: int, x, y):
    """The bias of the output layer of seed 3 after so many steps of the dense training, by `train` on fewer steps."""
    net, seen = nets.mlp(6, [9], 2, seed=3, dtype=torch.float64), {}

    def after(step, ensemble, members):
        seen[step] = ensemble.states()["output.bias"][0].clone()

    rule = pruning.Pruned(Adam(lr=0.02), after=after)
    train([net], x, y, optimiser=rule, epochs=2, batch_size=10, seeds=derived([3], 0), probes={"e": Probe(x, y)})
    return seen[rewind]


def test_masks_of_nothing_that_is_trained_are_refused():
    """A name that is misspelt, a frozen weight, whole numbers, and masks without the axis of members."""
    (x, y), net = samples(), nets.mlp(6, [4], 2, seed=1, dtype=torch.float64)
    net.hidden1.weight.requires_grad_(False)
    whole = torch.ones(1, 2, 4, dtype=torch.bool)
    for bad in ({"outptu.weight": whole}, {"hidden1.weight": torch.ones(1, 4, 6, dtype=torch.bool)},
                {"output.weight": whole.long()}, {"output.weight": whole[0]}):  # fmt: skip
        with pytest.raises(InvalidInput, match="mask"):
            train([net], x, y, optimiser=pruning.Pruned(Adam(lr=0.01), bad), epochs=1)
