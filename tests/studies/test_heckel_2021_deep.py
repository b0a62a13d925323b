import numpy as np
import torch

from lemmata.plan import plan
from lemmata.studies import _heckel_2021_cifar as cifar
from lemmata.studies.heckel_2021_deep import Signals, run_signals, study

TINY = {"n": 100, "channels": 3, "epochs": 3, "test": 100}


def images(n, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 32, 32, generator=g), torch.randint(10, (n,), generator=g)


def test_augmented_images_are_crops_of_the_padded_image_or_of_its_mirror():
    x, _ = images(12, seed=0)
    out = cifar.augmented(x, torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(x, (4,) * 4)
    places = set()
    for image, whole in zip(out, padded, strict=True):
        windows = whole.unfold(1, 32, 1).unfold(2, 32, 1)  # (3, 9, 9, 32, 32)
        found = [
            (row, column, mirrored)
            for row in range(9)
            for column in range(9)
            for mirrored in (False, True)
            if torch.equal(image, windows[:, row, column].flip(-1) if mirrored else windows[:, row, column])
        ]
        assert len(found) == 1
        places.add(found[0])
    assert len({row for row, _, _ in places}) > 1
    assert {mirrored for _, _, mirrored in places} == {False, True}


def test_network_has_the_published_layers():
    """The repository scales the step sizes of modules 0, 3, 7, 11 (convolutions) and 17 (linear)."""
    net = cifar.network(64, seed=0)
    convolutions = [i for i, module in enumerate(net) if isinstance(module, torch.nn.Conv2d)]
    assert convolutions == [0, 3, 7, 11]
    assert [net[i].out_channels for i in convolutions] == [64, 128, 256, 512]
    assert isinstance(net[17], torch.nn.Linear)


def test_fit_learns_moves_only_what_has_a_step_and_depends_on_the_seed_alone():
    train, test = images(60, seed=0), images(20, seed=1)
    options = {"channels": 2, "conv_step": 0.1, "fc_step": 0.1, "norm_step": 0.1}
    first = cifar.fit(train, test, epochs=[1, 3], seed=0, **options)
    assert first == cifar.fit(train, test, epochs=[1, 3], seed=0, **options)
    assert first != cifar.fit(train, test, epochs=[1, 3], seed=1, **options)
    assert len(first[0]) == len(first[1]) == 2
    easy = train[0] + 3 * (train[1] % 2)[:, None, None, None], train[1] % 2
    errors, _ = cifar.fit(easy, easy, epochs=[1, 25], seed=0, **options)
    assert errors[-1] == 0


def test_signals_of_a_seed_do_not_depend_on_their_company():
    """Members trained together and alone, in float32 on 3 epochs: curves of errors agree up to single samples."""
    configs = [Signals(seed=s, fc_step=f, **TINY) for s in (0, 1) for f in (0.01, 1.0)]
    together = run_signals(configs)
    alone = run_signals(configs[3:])[0]
    for name, curve in alone.curves.items():
        np.testing.assert_allclose(together[3].curves[name].y, curve.y, atol=0.02, rtol=1e-3)
    assert together[2].curves["train_loss"].y[-1] != together[3].curves["train_loss"].y[-1]


def test_a_small_step_leaves_the_last_layer_behind_and_labels_are_wrong_as_often_as_said():
    from lemmata.data import mnist1d
    from lemmata.studies.heckel_2021_deep import _signals

    _, labels = _signals(Signals(n=5000, label_noise=0.2))
    wrong = (labels.numpy() != mnist1d.generate(5000, seed=0)[1]).mean()
    assert abs(wrong - 0.2) < 5 * (0.2 * 0.8 / 5000) ** 0.5  # 5 standard errors


def test_paper_scale_is_declared_with_its_data_and_controls():
    made = plan.make(study, scale="paper", seeds=1)
    assert {(m.config.conv_step, m.config.fc_step) for m in made.members_of("cifar10") if m.config.label_noise} == {
        (0.1, 0.1), (0.1, 0.001), (0.05, 0.2),
    }  # fmt: skip
    assert study.experiments["cifar10"].data == "cifar10"
    assert all(made.of_claim[claim.name] for claim in study.claims)
    assert {claim.name for claim in study.claims if not claim.controls} == {"signals-best-error"}
