"""Both engines on real studies: what they record, what they tell, and what they survive."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from lemmata.engines import processes
from lemmata.engines.base import Outcome, run, run_each
from lemmata.errors import InvalidInput, UnknownName
from lemmata.plan import make
from lemmata.records import Store, StoreError
from lemmata.study.registry import load

BOTH = pytest.mark.parametrize("engine", ["serial", "processes"])


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def measurements(store):
    """All that was measured, to the bit, by member."""
    found = {}
    for trial in sorted(store.keys()):
        for member in store.get(trial).members:
            m = member.measurements
            curves = {name: (curve.x.tobytes(), curve.y.tobytes()) for name, curve in m.curves.items()}
            arrays = {name: (array.dtype, array.shape, array.tobytes()) for name, array in m.arrays.items()}
            found[member.key] = (m.scalars, m.errors, curves, arrays, m.status)
    return found


@BOTH
def test_every_trial_is_recorded_and_told(coin, store, engine):
    events = []
    plan = make(coin)
    outcome = run(plan, store, engine=engine, workers=2, on_event=events.append)
    assert (outcome.done, outcome.failed, outcome.interrupted) == (6, (), False)
    assert set(store.members()) == {member.key for member in plan.wanted}
    assert store.keys() == {trial.key for trial in plan.trials}
    kinds = [event.kind for event in events]
    assert kinds.count("started") == kinds.count("done") == kinds.count("progress") == 6
    assert (events[-1].done, events[-1].total) == (6, 6)
    assert all(event.seconds > 0 for event in events if event.kind == "done")
    assert make(coin, recorded=store.members()).trials == []


def test_both_engines_measure_the_same_to_the_bit(coin, tmp_path):
    stores = {}
    for engine in ("serial", "processes"):
        stores[engine] = Store(tmp_path / engine)
        run(make(coin), stores[engine], engine=engine, workers=2)
    assert len(measurements(stores["serial"])) == 30
    assert measurements(stores["serial"]) == measurements(stores["processes"])


@BOTH
def test_a_failed_trial_stops_no_other_and_names_its_line(coin, store, engine):
    plan = make(coin, scale="smoke", overrides={"mishap": ["", "raise"]})
    outcome = run(plan, store, engine=engine, workers=2)
    assert outcome.done == 2
    assert len(outcome.failed) == 2
    assert "RuntimeError: the coin fell off the table; in 'misbehave' (coin_study.py, line " in str(outcome.failed[0])
    assert len(make(coin, scale="smoke", overrides={"mishap": ["", "raise"]}, recorded=store.members()).trials) == 2


def test_what_a_trial_prints_disturbs_nothing(coin, store, capfd):
    outcome = run(make(coin, scale="smoke", overrides={"mishap": "print"}), store, engine="processes", workers=1)
    assert outcome.done == 2
    assert "heads!" in capfd.readouterr().err


def test_a_killed_worker_loses_only_its_trial_which_is_tried_again(coin, store):
    events = []
    plan = make(coin, overrides={"mishap": ["", "die once"], "bias": [0.4, 0.5]})
    outcome = run(plan, store, engine="processes", workers=2, on_event=events.append)
    assert (outcome.done, outcome.failed) == (len(plan.trials), ())
    (retried,) = [event for event in events if event.kind == "retried"]
    assert "killed by SIGKILL" in retried.error


def test_a_trial_that_kills_twice_is_reported(coin, store):
    plan = make(coin, scale="smoke", overrides={"mishap": ["", "die"]})
    outcome = run(plan, store, engine="processes", workers=1)
    assert outcome.done == 2
    assert len(outcome.failed) == 2
    assert "its worker process was killed by SIGKILL (the system kills a process so when memory" in str(
        outcome.failed[0]
    )


@pytest.fixture
def heeded():
    """Ctrl-C as at a terminal; a test run in the background inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@BOTH
@pytest.mark.usefixtures("heeded")
def test_ctrl_c_keeps_what_is_done_and_leaves_no_process(coin, store, engine):
    def interrupt(event):
        if event.kind == "done":
            signal.raise_signal(signal.SIGINT)

    outcome = run(make(coin), store, engine=engine, workers=2, on_event=interrupt)
    assert outcome.interrupted
    assert 1 <= outcome.done < 6
    assert store.check() == []
    assert len(store.keys()) >= 1
    assert _children() == set()
    again = run(make(coin, recorded=store.members()), store, engine=engine, workers=2)
    assert not again.interrupted
    assert len(store.members()) == 30


@BOTH
def test_sigterm_stops_cleanly(coin, store, engine):
    before = signal.getsignal(signal.SIGTERM)

    def end(event):
        if event.kind == "done":
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SystemExit) as left:
        run(make(coin), store, engine=engine, workers=2, on_event=end)
    assert left.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
    assert _children() == set()
    assert store.check() == []


def test_a_run_in_another_thread(coin, store):
    thread = threading.Thread(target=run, args=(make(coin, scale="smoke"), store), kwargs={"engine": "processes"})
    thread.start()
    thread.join()
    assert len(store.members()) == 6


PID = "float(__import__('os').getpid())"


def each(plans, store, *, engine="processes", workers=2, **options):
    """What comes back of plans, in the order in which they are over."""
    asked = iter(plans)
    return list(run_each(lambda: next(asked, None), store, engine=engine, workers=workers, **options))


@BOTH
def test_many_plans_are_run_by_the_same_workers(coin_file, store, engine):
    coin_file.write_text(coin_file.read_text().replace("heads=heads.mean()", f"heads={PID}"))
    coin = load(str(coin_file))
    plans = [make(coin, scale="smoke", overrides={"tosses": tosses}) for tosses in (10, 20, 30, 40)]
    found = each(plans, store, engine=engine)
    assert {id(plan) for plan, _ in found} == {id(plan) for plan in plans}
    assert all(outcome == Outcome(2, (), outcome.seconds) for _, outcome in found)
    pids = {scalars["heads"] for scalars, *_ in measurements(store).values()}
    assert pids == {os.getpid()} if engine == "serial" else len(pids) == 2
    assert _children() == set()


def test_the_next_plan_begins_while_the_last_trial_of_one_still_runs(coin_file, store):
    coin_file.write_text(coin_file.read_text().replace("PAUSE = 0.0", "PAUSE = 0.3"))
    coin = load(str(coin_file))
    first, second = (make(coin, scale="smoke", overrides={"tosses": tosses}) for tosses in (10, 20))
    told = []
    each([first, second], store, workers=3, on_event=lambda event: told.append((event.kind, event.trial)))
    ends = [told.index(("done", trial)) for trial in first.trials]
    begins = [told.index(("started", trial)) for trial in second.trials]
    assert min(begins) < max(ends)


def test_a_plan_that_cannot_be_run_stops_no_other(coin, coin_file, store, tmp_path):
    other = tmp_path / "other_coin.py"
    other.write_text(coin_file.read_text())
    plans = [make(coin), make(load(str(other)), scale="smoke", overrides={"tosses": 10})]
    coin_file.write_text("1/0\n" + coin_file.read_text())
    found = {id(plan): outcome for plan, outcome in each(plans, store)}
    assert "ZeroDivisionError" in str(found[id(plans[0])])
    assert found[id(plans[1])].done == 2


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_gives_back_the_plans_on_their_way_and_no_further_ones(coin, store):
    plans = [make(coin, scale="smoke", overrides={"tosses": tosses}) for tosses in (10, 20, 30, 40, 50, 60)]

    def interrupt(event):
        if event.kind == "done":
            signal.raise_signal(signal.SIGINT)

    found = each(plans, store, on_event=interrupt)
    assert 1 <= len(found) < len(plans)
    assert found[-1][1].interrupted
    assert _children() == set()
    assert store.check() == []


def test_a_study_that_changed_since_the_plan_is_not_run(coin, coin_file, store):
    plan = make(coin)
    coin_file.write_text(coin_file.read_text().replace("< config.bias", "> config.bias"))
    with pytest.raises(Exception, match="has changed on the disk since the plan was made; run the same command again"):
        run(plan, store, engine="processes", workers=1)
    assert store.keys() == set()


def test_a_study_that_workers_cannot_load_says_why(coin, coin_file, store):
    plan = make(coin)
    coin_file.write_text("1/0\n" + coin_file.read_text())
    with pytest.raises(Exception, match=r"line 1 raises ZeroDivisionError on import"):
        run(plan, store, engine="processes", workers=1)


def test_a_study_without_a_file_runs_serially_only(coin, store):
    plan = make(coin)
    coin.source = None
    with pytest.raises(InvalidInput, match="study 'coin' is not in a file, so that worker processes cannot load it"):
        run(plan, store, engine="processes")


def test_a_study_that_runs_itself_while_loaded_is_refused(coin, coin_file, store, monkeypatch):
    coin_file.write_text(
        coin_file.read_text()
        + "\n\nfrom lemmata.engines.base import run\nfrom lemmata.plan import make\nfrom lemmata.records import Store\n"
        + f"import os\nif os.environ.get('LEMMATA_WORKER'):\n    run(make(study), Store({str(store.path)!r}))\n"
    )
    with pytest.raises(Exception, match='put the run under `if __name__ == "__main__":`'):
        run(make(load(str(coin_file))), store, engine="processes", workers=1)


def test_a_run_of_the_extension_by_processes(coin, coin_file, store):
    """Two studies in one file: workers take the one that is run, whichever comes last."""
    run(make(coin), store)
    coin_file.write_text(
        coin_file.read_text() + '\n\nwider = study.extend("wider", question="q", sweep={"bias": [0.3]})\n'
    )
    wider = load(str(coin_file))
    assert wider.name == "wider"
    outcome = run(make(wider, recorded=store.members()), store, engine="processes", workers=1)
    assert (outcome.done, outcome.failed) == (1, ())
    assert store.get(next(iter(set(store.keys()) - {t.key for t in make(coin).trials}))).study == "wider"


def test_options_that_do_not_fit(coin, store):
    with pytest.raises(UnknownName, match=r"unknown engine 'process'; did you mean 'processes'\?"):
        run(make(coin), store, engine="process")
    with pytest.raises(InvalidInput, match="workers = 0: give at least one"):
        run(make(coin), store, workers=0)


@BOTH
def test_a_store_that_cannot_be_written_stops_the_run(coin, tmp_path, engine):
    store = Store(tmp_path / "store")
    run(make(coin, scale="smoke"), store)
    records = store.path / "staging"
    records.rmdir()
    records.write_text("a file where the staging area should be")
    with pytest.raises(StoreError, match="cannot write the store"):
        run(make(coin, recorded=store.members()), store, engine=engine, workers=2)
    assert len(store.members()) == 6
    assert _children() == set()


@BOTH
def test_the_data_folder_of_the_plan_reaches_the_trial(coin_file, store, tmp_path, monkeypatch, engine):
    monkeypatch.setenv("LEMMATA_DATA", "before")
    told = "float(__import__('os').environ['LEMMATA_DATA'].endswith('there'))"
    coin_file.write_text(coin_file.read_text().replace("heads=heads.mean()", f"heads={told}"))
    study = load(str(coin_file))
    run(make(study, scale="smoke", seeds=1), store, engine=engine, workers=1)
    run(
        make(study, scale="smoke", seeds=2, recorded=store.members(), data_dir=tmp_path / "there"), store, engine=engine
    )
    seeds = {store.members().known[key].config["seed"]: m[0]["heads"] for key, m in measurements(store).items()}
    assert seeds == {0: 0.0, 1: 1.0}
    assert os.environ["LEMMATA_DATA"] == "before"


def test_a_worker_ends_with_its_input_even_in_a_trial(coin, coin_file, store):
    """The parent may be gone without the system saying so; here it lives, and only closes the pipe."""
    import queue

    from lemmata.engines.processes import Worker

    plan = make(coin, scale="smoke", overrides={"mishap": "sleep"})
    inbox = queue.Queue()
    greeting = {
        "source": str(coin_file), "study": "coin", "store": str(store.path), "fingerprints": plan.fingerprints,
        "datasets": {}, "data_dir": None,
    }  # fmt: skip
    worker = Worker(inbox, 1)
    worker.tell(greeting)
    assert inbox.get(timeout=60)[1] == {"kind": "ready"}
    member = plan.wanted[0]
    worker.tell({"experiment": "main", "members": [[member.key, member.setting, member.config.non_default()]]})
    time.sleep(0.2)
    worker.process.stdin.close()
    assert inbox.get(timeout=10) == (worker, None)
    assert worker.process.wait(timeout=10) == 0
    worker.stop()


def _children() -> set[int]:
    """Worker processes of this one that live; they may take a moment to be gone."""

    def living():
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
                told = (stat.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and fields[0] != "Z" and b"lemmata.engines.worker" in told:
                found.add(int(stat.parent.name))
        return found

    for _ in range(40):
        if not living():
            return set()
        time.sleep(0.05)
    return living()


@pytest.mark.parametrize(("asked", "threads"), [("1", 1), ("64", 6), ("", 6), ("0", 6), ("many", 6)])
def test_a_worker_has_its_share_of_the_cores_or_less_where_less_is_asked_for(monkeypatch, asked, threads):
    monkeypatch.setattr(processes, "cores", lambda: 12)
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert processes.threads_each(2) == threads
