"""Tickets, what they are compared with, and interruption."""

import pytest
import torch
from torch import nn

from lemmata import landscape, nets, pruning
from lemmata.errors import InvalidInput, UnknownName
from lemmata.figures import static
from lemmata.training import SGD, Adam, train
from lemmata.training.streams import derived

DRAW = torch.Generator().manual_seed(5)
X = torch.randn(90, 5, generator=DRAW)
Y = (X[:, 0] + X[:, 1] > 0).long()
SPLIT = {"validation": (X[60:75], Y[60:75]), "test": (X[75:], Y[75:])}


def small(seed: int) -> nn.Sequential:
    return nets.mlp(5, [12], 2, initialisation="xavier_normal", seed=seed)


def found(rounds=2, **changed):
    options = {
        "rounds": rounds, "optimiser": Adam(lr=0.03), "epochs": 6, "batch_size": 20, "seeds": [0, 1, 2], "every": 4,
        **SPLIT, **changed,
    }  # fmt: skip
    return pruning.iterative_magnitude(small, (X[:60], Y[:60]), **options)


@pytest.fixture(scope="module")
def tickets():
    return found()


def test_masks_are_nested_and_counted(tickets):
    assert tickets.rounds == (0, 1, 2)
    for fewer, more in ((1, 0), (2, 1)):
        assert all(not (tickets.masks[fewer][n] & ~tickets.masks[more][n]).any() for n in tickets.masks[0])
    assert tickets.counts(2).left == {"hidden1.weight": 38, "output.weight": 15}  # 60 -> 48 -> 38, 24 -> 19 -> 15
    assert tickets.density[2].tolist() == [53 / 84] * 3
    assert [tickets.counts(2, i).density for i in range(3)] == tickets.density[2].tolist()


def test_several_prunings_at_once_leave_as_many(tickets):
    assert found((2,)).counts(1).left == tickets.counts(2).left


def test_a_ticket_is_the_start_under_its_mask(tickets):
    ticket, trained = tickets.ticket(2, 1), tickets.model(2, 1)
    mask = tickets.masks[2]["hidden1.weight"][1]
    assert torch.equal(ticket.hidden1.weight, small(1).hidden1.weight * mask)
    assert not trained.hidden1.weight[~mask].any()
    assert trained.hidden1.weight[mask].ne(ticket.hidden1.weight[mask]).any()
    error = (trained(SPLIT["test"][0]).argmax(1) == SPLIT["test"][1]).double().mean()
    assert error == tickets.accuracy[2, 1]
    with pytest.raises(InvalidInput, match="keep_weights"):
        tickets.model(1, 0)


def test_every_network_may_have_its_own_samples(tickets):
    """The same samples given three times over are those that all share."""
    own = lambda pair: (torch.stack([pair[0]] * 3), torch.stack([pair[1]] * 3))  # noqa: E731
    split = {name: own(pair) for name, pair in SPLIT.items()}
    three = pruning.iterative_magnitude(
        small, own((X[:60], Y[:60])), rounds=2, optimiser=Adam(lr=0.03), epochs=6, batch_size=20, seeds=[0, 1, 2],
        every=4, **split,
    )  # fmt: skip
    assert torch.equal(three.accuracy, tickets.accuracy)
    near, same = (pruning.stability(t, levels=[2], points=3) for t in (three, tickets))
    torch.testing.assert_close(near.instability, same.instability)


def test_early_stopping_is_where_the_validation_loss_is_least(tickets):
    trace = tickets.traces[1]
    assert trace.steps.tolist() == [0, 4, 8, 12, 16, 18]
    for i in range(3):
        best = min(range(6), key=lambda k: trace.validation_loss[i, k])
        assert tickets.stopping[1, i] == trace.steps[best]
        assert tickets.stopping_accuracy[1, i] == trace.test_accuracy[i, best]
    without = found(1, validation=None)
    assert without.stopping.tolist() == [[18] * 3] * 2


def test_members_do_not_see_each_other(tickets):
    """Masks of a seed alone are those found among three, and accuracies equal."""
    alone = found(seeds=[1])
    assert all(torch.equal(alone.masks[2][n][0], tickets.masks[2][n][1]) for n in tickets.masks[0])
    assert torch.equal(alone.accuracy[:, 0], tickets.accuracy[:, 1])


def test_an_interrupted_search_goes_on_where_it_was(tickets):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # between trainings nothing is lost that was asked to be kept
        found(progress=stop)

    class Late(Adam):
        def start(self, ensemble):
            if seen.append(1) is None and len(seen) == 3:
                raise KeyboardInterrupt
            return super().start(ensemble)

    seen = []
    with pytest.raises(landscape.Interrupted) as stopped:
        found(optimiser=Late(lr=0.03))
    partial = stopped.value.partial
    assert partial.rounds == (0, 1)
    whole = found(known=partial)
    assert whole.rounds == tickets.rounds
    assert torch.equal(whole.accuracy, tickets.accuracy)
    with pytest.raises(InvalidInput, match="known has"):
        found(known=partial, seeds=[0, 1, 3])


def test_rewinding_trains_from_the_weights_at_that_step():
    late = found(1, rewind=5)
    assert late.traces[0].steps.tolist() == [0, 4, 8, 12, 16, 18]
    assert late.traces[1].steps.tolist() == [5, 8, 12, 16, 18]
    assert not torch.equal(late.starts["hidden1.weight"][0], small(0).hidden1.weight)
    for bad in (-1, 18, 2.0):
        with pytest.raises(InvalidInput, match="rewind"):
            found(1, rewind=bad)


def test_random_tickets_have_the_weights_and_other_masks(tickets):
    random = pruning.random_tickets(tickets)
    assert random.rounds == (1, 2)
    assert random.counts(1).left == tickets.counts(2).left
    assert random.starts is tickets.starts
    assert not torch.equal(random.masks[1]["hidden1.weight"], tickets.masks[2]["hidden1.weight"])
    again, other = (pruning.random_tickets(tickets, levels=[2], seed=seed) for seed in (0, 1))
    assert torch.equal(again.masks[0]["hidden1.weight"], random.masks[1]["hidden1.weight"])
    assert not torch.equal(again.masks[0]["hidden1.weight"], other.masks[0]["hidden1.weight"])
    alone = pruning.random_tickets(found(seeds=[1]), levels=[2])
    assert torch.equal(alone.masks[0]["hidden1.weight"][0], again.masks[0]["hidden1.weight"][1])
    network = pruning.random_tickets(tickets, within="network", levels=[2])
    assert network.density.tolist() == tickets.density[2:].tolist()
    with pytest.raises(UnknownName):
        pruning.random_tickets(tickets, within="row")
    with pytest.raises(InvalidInput, match="level 3"):
        pruning.random_tickets(tickets, levels=[3])


def test_reinitialised_tickets_have_the_masks_and_other_weights(tickets):
    other = pruning.reinitialised(tickets, lambda seed: small(seed + 100))
    assert all(
        torch.equal(a["output.weight"], b["output.weight"]) for a, b in zip(other.masks, tickets.masks[1:], strict=True)
    )
    assert torch.equal(other.starts["output.weight"][2], small(102).output.weight)
    with pytest.raises(InvalidInput, match="own weights"):
        pruning.reinitialised(tickets, small)


def test_one_shot_is_the_first_round_and_then_another(tickets):
    once = pruning.one_shot(tickets)
    assert torch.equal(once.masks[0]["hidden1.weight"], tickets.masks[1]["hidden1.weight"])
    assert once.counts(1).left == tickets.counts(2).left
    with pytest.raises(InvalidInput, match="dense"):
        pruning.one_shot(once)


def test_comparisons_share_no_data_order(tickets):
    """The same mask from the same start, trained under another kind's number, ends elsewhere."""
    once = pruning.one_shot(tickets, levels=[1])
    assert torch.equal(once.masks[0]["hidden1.weight"], tickets.masks[1]["hidden1.weight"])
    assert not torch.equal(once.traces[0].test_loss, tickets.traces[1].test_loss)


def test_global_scope_ranks_all_layers_together():
    layers = found(1, scope="global").counts(1).left
    assert sum(layers.values()) == 84 - round(0.2 * 84)


def test_figures_draw(tickets):
    figure = tickets.plot(pruning.random_tickets(tickets), pruning.one_shot(tickets))
    assert len(figure.panels) == 3
    assert "<svg" in str(static.render(figure))
    assert "3 networks at 100 %" in repr(tickets)


def test_arguments_that_do_not_fit_are_refused():
    for bad in (
        {"seeds": None}, {"rounds": -1}, {"epochs": 0}, {"share": 0.0}, {"shares": {"none": 0.1}},
        {"validation": (X.double(), Y)},
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            found(**bad)


# ---- instability -----------------------------------------------------------------------------------------------------


def measured(steps, **changed):
    options = {"seeds": [0, 1], "optimiser": SGD(lr=0.3), "epochs": 5, "batch_size": 10, "points": 5, **changed}
    return pruning.instability(small, (X[:60], Y[:60]), test=SPLIT["test"], steps=steps, **options)


def test_copies_of_a_convex_problem_are_connected():
    """Softmax regression: the loss is convex, so it never rises above the line between the ends; 1e-12."""
    x = X.double()
    found = pruning.instability(
        lambda seed: nets.mlp(5, [], 2, seed=seed, dtype=torch.float64), (x[:60], Y[:60]), test=(x[75:], Y[75:]),
        steps=[0, 10], seeds=[0, 1], optimiser=SGD(lr=0.5), epochs=4, batch_size=10,
    )  # fmt: skip
    straight = found.loss[..., :1] + found.t * (found.loss[..., -1:] - found.loss[..., :1])
    assert (found.loss <= straight + 1e-12).all()


def test_a_line_joins_two_trainings_with_different_orders():
    """Its ends are trained here by hand, from the initial weights and the orders' seeds; 1e-5 in float32."""
    found = measured([29, 0])
    assert found.steps == (0, 29)
    assert found.error.shape == (2, 2, 5)
    ends = (found.error[..., 0] + found.error[..., -1]) / 2
    assert torch.equal(found.instability, found.error.max(-1).values - ends)
    for k in (0, 1):
        order = derived([0], 40_000 + k)
        copy = train([small(0)], X[:60], Y[:60], optimiser=SGD(lr=0.3), epochs=5, batch_size=10, seeds=order).model(0)
        loss = nn.functional.cross_entropy(copy(SPLIT["test"][0]), SPLIT["test"][1])
        assert found.loss[0, 0, -k].item() == pytest.approx(loss.item(), rel=1e-5)
    assert "<svg" in str(static.render(found.plot()))


def test_instability_goes_on_and_is_that_of_a_search_in_one_piece():
    whole, first = measured([0, 12]), measured([12])
    again = measured([0, 12], known=first)
    assert again.steps == whole.steps
    torch.testing.assert_close(again.error, whole.error)
    with pytest.raises(InvalidInput, match="30 steps"):
        measured([30])


def test_masks_hold_on_the_whole_line():
    """What is pruned in both copies is pruned between them: the lines of masked copies, by weights."""
    masks = {"hidden1.weight": torch.zeros(2, 12, 5, dtype=torch.bool)}
    found = measured([0], masks=masks)  # nothing is read: a constant output, one error all along
    assert found.error.std(-1).max() == 0


def test_stability_is_the_distance_of_the_copies(tickets):
    kept = found(1, keep_weights=True)
    near = pruning.stability(kept)
    mask = kept.masks[1]
    assert near.rounds == (1,)
    states, dense = kept.trained[1], kept.trained[0]
    again = kept.setting.train(kept.starts, mask, number=0).states
    for i in range(3):
        order = sum((states[n][i] - again[n][i])[mask[n][i]].double().square().sum() for n in mask).sqrt()
        cut = sum((dense[n][i] - again[n][i])[mask[n][i]].double().square().sum() for n in mask).sqrt()
        torch.testing.assert_close(near.data_order[0, i], order)
        torch.testing.assert_close(near.pruning[0, i], cut)
    with pytest.raises(InvalidInput, match="dense"):
        pruning.stability(pruning.random_tickets(kept))
    assert pruning.stability(pruning.random_tickets(kept), kept.trained[0]).norm.shape == (1, 3)


# ---- models and members that are odd ---------------------------------------------------------------------------------


def test_tickets_of_a_network_with_batch_normalisation_are_rewound_with_its_statistics():
    """W_3 holds the running statistics after three batches (their count is one of its numbers, a whole one)."""

    def network(seed: int) -> nn.Sequential:
        net = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
        with torch.no_grad():
            net[0].weight.normal_(generator=torch.Generator().manual_seed(seed))
        return net

    late = pruning.iterative_magnitude(
        network, (X[:60], Y[:60]), seeds=[0, 1], rounds=1, rewind=3, optimiser=SGD(lr=0.1, momentum=0.9), epochs=2,
        batch_size=20, test=SPLIT["test"],
    )  # fmt: skip
    assert late.starts["1.num_batches_tracked"].dtype == torch.int64
    assert late.starts["1.num_batches_tracked"].tolist() == [3, 3]
    assert late.starts["1.running_mean"].abs().sum() > 0
    assert late.counts(1).left == {"0.weight": 24, "3.weight": 10}


def test_a_network_that_diverged_has_no_tickets():
    """The dense training of the second is lost; its start under a mask of no numbers says nothing."""

    class Once(SGD):
        """A step size that is too large in the first training only."""

        def start(self, ensemble):
            seen.append(1)
            return SGD(lr=[0.1, 1e38] if len(seen) == 1 else 0.1, momentum=0.9).start(ensemble)

    seen: list[int] = []
    lost = found(seeds=[0, 1], optimiser=Once(lr=0.1))
    assert lost.diverged.tolist() == [[False, True]] * 3
    assert lost.accuracy.isnan().tolist() == [[False, True]] * 3
    random = pruning.random_tickets(lost, levels=[2])
    assert random.diverged.tolist() == [[False, True]]
    assert random.accuracy.isnan().tolist() == [[False, True]]


def test_an_interrupted_search_does_not_go_on_with_another_share(tickets):
    with pytest.raises(InvalidInput, match="not a beginning"):
        found(3, share=0.5, known=tickets)


def test_random_places_and_data_orders_come_from_different_streams(tickets):
    """The order of a training of random tickets is not drawn by the generator that drew their places."""
    from lemmata.pruning import baselines

    places = {g.initial_seed() for level in (1, 2) for s in (0, 1) for g in baselines._draws(tickets, level, s)}
    numbers = [*baselines.FIRST.values(), *(baselines.FIRST["random"] + 1000 * s + r for s in (0, 1) for r in (1, 2))]
    assert not places & {own for number in numbers for own in derived(tickets.setting.seeds, number)}
