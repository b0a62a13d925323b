"""Tables of the coin study, run for real."""

import numpy as np
import pandas as pd
import pytest

from lemmata.engines.base import run
from lemmata.plan import make
from lemmata.records import Store
from lemmata.records.provenance import git, provenance, threads, versions
from lemmata.records.table import table
from lemmata.study import Curve


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def run_and_table(study, store, **options):
    run(make(study, recorded=store.members(), **options), store)
    plan = make(study, recorded=store.members(), **options)
    assert plan.trials == []
    return table(study, study.experiments["main"], plan, store)


def test_a_row_a_member_in_the_plans_order(coin, store):
    made = run_and_table(coin, store)
    assert list(made.columns) == [
        "key",
        "control",
        "status",
        "seed",
        "bias",
        "tosses",
        "mishap",
        "heads",
        "running",
        "flips",
    ]
    assert made.attrs["fields"] == ["seed", "bias", "tosses", "mishap"]
    assert made["control"].dtype == bool
    assert (made["control"] == (made["bias"] == 0.95)).all()
    assert list(made["key"]) == [member.key for member in make(coin).wanted]
    assert made["seed"].dtype == np.int64
    row = made.iloc[7]
    expected = np.random.default_rng([row["seed"], 50]).random(50) < row["bias"]
    assert row["heads"] == expected.mean()
    assert isinstance(row["running"], Curve)
    np.testing.assert_array_equal(row["flips"], expected)


def test_only_what_the_plan_wants_is_shown(coin, store):
    run_and_table(coin, store)
    small = make(coin, scale="smoke", seeds=2, recorded=store.members())
    made = table(coin, "main", small, store)
    assert sorted(set(made["bias"])) == [0.5, 0.95]
    assert len(made) == 4


def test_an_empty_store_gives_an_empty_table_with_its_columns(coin, store):
    made = table(coin, "main", make(coin), store)
    assert len(made) == 0
    assert list(made.columns[:5]) == ["key", "control", "status", "seed", "bias"]
    assert made["control"].dtype == bool


def test_a_damaged_record_leaves_its_rows_out_and_is_named(coin, store):
    run_and_table(coin, store)
    store.members()
    victim = min(store.keys())
    file = store.path / "records" / victim[:2] / victim / "record.json"
    file.write_bytes(file.read_bytes()[:-9])
    made = table(coin, "main", make(coin), Store(store.path))
    assert len(made) == 25
    (problem,) = made.attrs["problems"]
    assert f"record {victim} is damaged" in problem
    assert run_and_table(coin, store).shape[0] == 30


def test_provenance_is_in_every_record_and_names_nobody(coin, store, tmp_path):
    import getpass
    import platform

    run_and_table(coin, store)
    record = store.get(min(store.keys()))
    facts = record.provenance
    assert set(facts) == {"time", "seconds", "versions", "hardware", "threads", "git", "fingerprint", "data"}
    assert facts["seconds"] == record.seconds > 0
    assert facts["fingerprint"] == make(coin).fingerprints["main"]
    assert facts["versions"] == versions()
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["hardware"]["cores"] >= 1
    text = str(facts)
    assert str(tmp_path) not in text
    assert platform.node() not in text.split()
    assert f"/{getpass.getuser()}/" not in text


def test_git_is_told_with_whether_it_is_clean(tmp_path):
    import subprocess

    def call(*arguments):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    assert git(tmp_path) is None
    git.cache_clear()
    call("init")
    (tmp_path / "a.py").write_text("1")
    call("add", "a.py")
    call("-c", "user.name=n", "-c", "user.email=e@x", "commit", "-m", "a")
    found = git(tmp_path)
    assert found is not None
    assert len(found["commit"]) == 40
    assert found["dirty"] is False
    git.cache_clear()
    (tmp_path / "a.py").write_text("2")
    found = git(tmp_path)
    assert found is not None
    assert found["dirty"] is True
    git.cache_clear()


def test_threads_are_torchs_own(monkeypatch):
    import torch

    assert threads() == torch.get_num_threads()
    assert provenance(source=None, fingerprint="", data={}, seconds=1.0)["threads"] == torch.get_num_threads()


def test_missing_measurements_are_nan(coin, coin_file, store):
    from lemmata.study.registry import load

    text = coin_file.read_text().replace(
        "outcomes.append(Measurements.of(heads=heads.mean(), running=running, flips=heads))",
        "outcomes.append(Measurements.of(**({'odd': 1.0} if config.seed % 2 else {'heads': heads.mean()})))",
    )
    coin_file.write_text(text)
    made = run_and_table(load(str(coin_file)), store)
    assert (made["odd"].isna() == (made["seed"] % 2 == 0)).all()
    assert pd.api.types.is_float_dtype(made["heads"])
