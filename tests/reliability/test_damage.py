"""Records cut short and bits flipped at random places: detected, named, set aside, made again."""

import os
import random

from lemmata.engines.base import run
from lemmata.plan import make
from lemmata.records import Store
from lemmata.study.registry import load


def damage(store: Store, chance: random.Random, times: int) -> set[str]:
    """Damage some records, one file each, in ways that leave no other trace; their keys."""
    struck = set(chance.sample(sorted(store.keys()), times))
    for key in sorted(struck):
        folder = store.path / "records" / key[:2] / key
        file = folder / chance.choice(["record.json", "arrays.safetensors"])
        before, content = file.stat(), bytearray(file.read_bytes())
        if chance.random() < 0.5:
            del content[chance.randrange(len(content)) :]
        else:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        file.write_bytes(content)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return struck


def test_damage_at_random_places_is_found_and_mended(coin_file, undisturbed, measured, tmp_path):
    chance = random.Random(4)
    path = tmp_path / "undisturbed"
    study = load(str(coin_file))
    for round_ in range(5):
        struck = damage(Store(path), chance, 12)
        if round_ % 2:
            (path / "index.sqlite").unlink()
        store = Store(path)
        plan = make(study, recorded=store.members())
        assert {trial.key for trial in plan.trials} == struck
        assert len(store.problems) == 12
        assert all(any(key in problem for problem in store.problems) for key in struck)
        assert all(list((path / "quarantine").glob(f"{key}.*.reason.txt")) for key in struck)
        assert run(plan, store).done == 12
        assert measured(Store(path)) == undisturbed
        assert Store(path).check() == []
