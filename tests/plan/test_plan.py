"""Plans of the coin study: what is wanted, by whom, what is recorded, what remains."""

import pytest

from lemmata.errors import InvalidInput, UnknownName
from lemmata.plan import Recorded, make
from lemmata.plan.forecast import Forecast, duration, forecast
from lemmata.plan.key import member_key, setting_key, trial_key
from lemmata.plan.recorded import Known
from lemmata.plan.trial import Member
from lemmata.study import Config, Study, kinds


def known(members, **changes):
    """What a store would hold of members."""
    facts = {"trial": "t", "namespace": "coin/main", "seconds": 2.0, **changes}
    return Recorded({m.key: Known(setting=m.setting, config=m.plain, **facts) for m in members})


def test_members_of_the_sweep_the_claim_and_its_control(coin):
    plan = make(coin, scale="laptop")
    assert len(plan.wanted) == 5 * 5 + 5
    assert len(plan.swept["main"]) == 25
    by_key = {member.key: member.config for member in plan.wanted}
    assert {(by_key[key].bias, by_key[key].seed) for key in plan.of_claim["fair"]} == {(0.5, s) for s in range(5)}
    assert {by_key[key].bias for key in plan.of_control["fair"][0]} == {0.95}
    assert plan.of_claim["fair"] <= plan.swept["main"]
    assert not plan.of_control["fair"][0] & plan.swept["main"]
    assert plan.cached == 0
    assert plan.missing == []


def test_trials_are_blocks_that_agree_on_all_but_the_seed(coin):
    plan = make(coin)
    assert [len(trial.members) for trial in plan.trials] == [5] * 6
    assert all(len({member.config.bias for member in trial.members}) == 1 for trial in plan.trials)
    assert [trial.key for trial in plan.trials] == [trial.key for trial in make(coin).trials]
    coin.experiments["main"].block = 2
    assert [len(trial.members) for trial in make(coin).trials] == [2, 2, 1] * 6
    coin.experiments["main"].vectorised = ("seed", "bias")
    coin.experiments["main"].block = None
    assert [len(trial.members) for trial in make(coin).trials] == [30]


def test_a_control_inside_the_sweep_is_run_once(coin):
    coin.find_claim("fair").control("another", bias=0.8)
    plan = make(coin)
    assert len(plan.wanted) == 30
    assert plan.of_control["fair"][1] <= plan.swept["main"]


def test_what_is_recorded_is_not_run_again(coin):
    first = make(coin, seeds=3)
    more = make(coin, seeds=4, recorded=known(first.wanted))
    assert more.cached == len(first.wanted) == 18
    assert {member.config.seed for trial in more.trials for member in trial.members} == {3}
    assert make(coin, seeds=3, recorded=[member.key for member in first.wanted]).trials == []


def test_an_extension_shares_the_records(coin):
    recorded = known(make(coin).wanted)
    wider = coin.extend("wider", question="And at 0.3?", sweep={"bias": [0.3]})
    plan = make(wider, recorded=recorded)
    assert plan.cached == 30
    assert {member.config.bias for trial in plan.trials for member in trial.members} == {0.3}


def test_members_of_other_code_are_stale(coin, coin_file):
    from lemmata.study.registry import load

    recorded = known(make(coin).wanted)
    coin_file.write_text(coin_file.read_text().replace("< config.bias", "<= config.bias"))
    plan = make(load(str(coin_file)), recorded=recorded)
    assert plan.cached == 0
    assert plan.stale == {"main": 30}
    assert make(coin, recorded=Recorded({})).stale == {"main": 0}


def test_a_changed_default_is_not_taken_for_the_old_one(coin, coin_file):
    """Identity sees non-default values only, so the key stays; the recorded values tell."""
    from lemmata.study.registry import load

    before = make(coin)
    coin_file.write_text(coin_file.read_text().replace("tosses: int = 50", "tosses: int = 60"))
    after = make(load(str(coin_file)), recorded=known(before.wanted))
    assert [m.key for m in after.wanted] == [m.key for m in before.wanted]
    assert after.cached == 0


def test_a_new_option_leaves_old_records_valid(coin, coin_file):
    from lemmata.study.registry import load

    before = make(coin)
    coin_file.write_text(coin_file.read_text().replace("    tosses: int", "    edge: bool = False\n    tosses: int"))
    assert make(load(str(coin_file)), recorded=known(before.wanted)).cached == 30


def test_a_claim_outside_the_scale_or_the_overrides_is_not_covered(coin):
    coin.claim("loaded", name="loaded", where="w", kind=kinds.value(of="heads"), select={"bias": 0.8})
    assert make(coin, scale="smoke").of_claim["loaded"] == set()
    assert make(coin, overrides={"bias": 0.1}).of_claim == {"fair": set(), "loaded": set()}
    assert make(coin, overrides={"bias": 0.1}).of_control["fair"] == [set()]


def test_a_claim_that_selects_what_nothing_sweeps_is_refused(coin):
    coin.claim("odd", name="odd", where="w", kind=kinds.value(of="heads"), select={"bias": 0.55})
    with pytest.raises(InvalidInput, match=r"claim 'odd' selects bias = 0\.55, which no scale"):
        make(coin)


def test_an_untestable_claim_wants_nothing(coin):
    coin.claim("on other coins", name="others", where="w", untestable="the coins are lost")
    plan = make(coin)
    assert plan.of_claim["others"] == set()
    assert plan.of_control["others"] == []


def test_scales(coin):
    with pytest.raises(UnknownName, match=r"unknown scale 'lapto'; did you mean 'laptop'\?"):
        make(coin, scale="lapto")
    only = Study("only", question="q", config=Config, seeds={"smoke": 1})
    with pytest.raises(InvalidInput, match="study 'only' declares no scale 'paper'; it has smoke"):
        make(only, scale="paper")
    with pytest.raises(InvalidInput, match="experiment 'main' of study 'only' has no trial function; decorate one"):
        make(only, scale="smoke")


def test_an_experiment_that_does_not_declare_the_scale_is_left_out(coin):
    coin.experiment("late", config=Config, seeds={"paper": 2})
    plan = make(coin, scale="laptop")
    assert {member.experiment for member in plan.wanted} == {"main"}
    assert plan.swept["late"] == set()


def test_two_claims_of_one_name_are_refused(coin):
    coin.claim("again", name="fair", where="w", kind=kinds.value(of="heads"))
    with pytest.raises(InvalidInput, match="two claims named 'fair'; give one of them another `name`"):
        make(coin)


def test_members_without_their_data_are_told_and_the_rest_runs(coin, tmp_path):
    coin.experiments["main"].data = lambda config: "cifar10" if config.bias == 0.2 else None
    plan = make(coin, data_dir=tmp_path)
    (missing,) = plan.missing
    assert (missing.experiment, missing.dataset, missing.count) == ("main", "cifar10", 5)
    assert "lemmata data fetch cifar10" in str(missing)
    assert len(plan.trials) == 5
    assert all(trial.members[0].config.bias != 0.2 for trial in plan.trials)
    recorded = make(coin, data_dir=tmp_path, recorded=known(plan.wanted))
    assert recorded.missing == []  # what is recorded wants no data


def test_the_data_are_part_of_identity(coin):
    without = {member.key for member in make(coin).wanted}
    coin.experiments["main"].data = "digits"
    assert not without & {member.key for member in make(coin).wanted}


def test_an_unknown_dataset_is_met_with_the_nearest(coin):
    coin.experiments["main"].data = "mnist5k"
    with pytest.raises(UnknownName, match="mnist-5k"):
        make(coin)


def test_identity_looks_at_namespace_values_code_and_data():
    base = ("s/main", Config(seed=1), "f", "d")
    others = [("s/other", *base[1:]), (base[0], Config(seed=2), "f", "d"), (*base[:2], "g", "d"), (*base[:3], "e")]
    keys = {member_key(*base), *(member_key(*other) for other in others)}
    assert len(keys) == 5
    assert member_key(*base) == member_key("s/main", Config(seed=1), "f", "d")
    assert setting_key("s/main", Config()) != setting_key("s/main", Config(seed=1))
    assert trial_key(["a", "b"]) != trial_key(["ab"])


def test_a_forecast_prefers_like_trials(coin):
    """By hand: 5 members at 2 s for the bias that was run before; the others at the mean of what is known."""
    members = make(coin).wanted
    slow = [member for member in members if member.config.bias == 0.2]
    store = type("Store", (), {"members": lambda self: known(slow[:2])})()
    plan = make(coin, recorded=store.members())
    same = [trial for trial in plan.trials if trial.members[0].config.bias == 0.2]
    assert [len(trial.members) for trial in same] == [3]
    told = forecast(plan, store)
    assert told == Forecast(28 * 2.0, 28 * 2.0, 28 * 2.0, guessed=True)
    assert str(told) == "about 56 s (56 s to 56 s), guessed in part from other settings"
    alike = make(coin, overrides={"bias": 0.2}, recorded=store.members())
    assert forecast(alike, store) == Forecast(3 * 2.0, 3 * 2.0, 3 * 2.0)
    mixed = Recorded({**known(slow[:2]).known, **known([members[5]], seconds=4.0).known})
    store = type("Store", (), {"members": lambda self: mixed})()
    told = forecast(make(coin, recorded=mixed), store)
    # bias 0.2: 3 at 2 s; bias 0.4: 4 at 4 s; the other 20 between 2 and 4 s with median 2 s
    assert (told.seconds, told.low, told.high) == (6 + 16 + 40, 6 + 16 + 40, 6 + 16 + 80)


def test_a_forecast_without_a_past_says_so(coin):
    empty = type("Store", (), {"members": lambda self: Recorded({})})()
    told = forecast(make(coin), empty)
    assert told.untimed == ("main",)
    assert str(told).startswith("none, since nothing of main was ever timed in this store")
    part = Forecast(60.0, 50.0, 70.0, untimed=("main",))
    assert str(part) == "about 1 min (50 s to 1 min 10 s), and more: nothing of main was ever timed in this store"
    assert duration(119.7) == "2 min"


def test_a_member_with_other_values_is_not_held():
    member = Member("main", Config(seed=1), "k", "s")
    assert known([member]).holds(member)
    assert not Recorded({"k": Known("t", "n", "s", 1.0, {"seed": 2})}).holds(member)
