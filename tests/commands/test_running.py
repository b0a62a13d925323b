"""The main job from the command line: plan, run, run again, report, compare."""

import re

import pytest


def test_run_ends_with_a_verdict_table_and_says_where_the_report_is(workplace, lemmata):
    status, out, _ = lemmata("run", "coin.py")
    assert status == 0
    assert "reproduced" in out
    assert "refuted: a loaded coin" in re.sub(r"\s*│[^│]*\n?", " ", out) or "refuted" in out
    assert "lemmata-reports/coin.html" in out
    assert (workplace / "lemmata-reports" / "coin.html").stat().st_size > 1000


def test_a_second_run_finds_everything_recorded(workplace, lemmata):
    lemmata("run", "coin.py")
    before = {path: path.stat().st_mtime_ns for path in (workplace / "lemmata-store").rglob("record.json")}
    status, out, _ = lemmata("run", "coin.py")
    assert status == 0
    assert "16 of 16 members recorded; 0 to run" in out
    assert before == {path: path.stat().st_mtime_ns for path in (workplace / "lemmata-store").rglob("record.json")}


def test_more_seeds_run_only_what_is_new(workplace, lemmata):
    lemmata("run", "coin.py", "--seeds", "4")
    _, out, _ = lemmata("run", "coin.py", "--seeds", "6")
    assert "8 of 12 members recorded; 4 to run" in out


def test_plan_runs_nothing_and_forecasts(workplace, lemmata):
    status, out, _ = lemmata("plan", "coin.py")
    assert status == 0
    assert "forecast, for one process: none, since nothing of main was ever timed in this store" in " ".join(
        out.split()
    )
    assert "--scale smoke" in out
    assert not list((workplace / "lemmata-store").rglob("record.json"))


def test_overrides_replace_a_value_and_sweep_an_axis(workplace, lemmata):
    _, out, _ = lemmata("plan", "coin.py", "--bias", "0.4,0.5", "--seeds", "2")
    assert re.search(r"main\s+6\s+0", out)  # two biases and the control, two seeds each
    _, out, _ = lemmata("plan", "coin.py", "--network.width", "4", "--seeds", "2")
    assert re.search(r"main\s+4\s+0", out)


def test_until_decided_adds_blocks_of_seeds(workplace, lemmata):
    status, out, _ = lemmata("run", "coin.py", "--seeds", "3", "--until-decided", "24")
    assert status == 0
    assert "reproduced" in out


def test_a_plan_after_a_run_forecasts(workplace, lemmata):
    lemmata("run", "coin.py", "--scale", "smoke")
    _, out, _ = lemmata("plan", "coin.py")
    assert "forecast, for one process: under 1 s\n" in out
    _, out, _ = lemmata("plan", "coin.py", "--bias", "0.3")
    assert "under 1 s, guessed in part from other settings" in " ".join(out.split())


def test_a_run_with_other_settings_leaves_the_report_of_the_declared_ones(workplace, lemmata):
    lemmata("run", "coin.py", "--scale", "smoke")
    before = (workplace / "lemmata-reports/coin-smoke.html").read_bytes()
    for command in ("run", "report"):
        _, out, _ = lemmata(command, "coin.py", "--scale", "smoke", "--bias", "0.3,0.4")
        assert "lemmata-reports/coin-smoke-bias-0.3,0.4.html\n" in out
    assert (workplace / "lemmata-reports/coin-smoke.html").read_bytes() == before
    lemmata("run", "coin.py", "--scale", "smoke", "--bias", ",".join(f"{k / 100:.2f}" for k in range(30)))
    assert max(len(path.name) for path in (workplace / "lemmata-reports").iterdir()) < 120


@pytest.mark.parametrize("scale", [(), ("--scale", "laptop")])
def test_report_of_nothing_recorded_says_what_to_do(workplace, lemmata, scale):
    status, _, err = lemmata("report", "coin.py", *scale)
    assert status == 2
    assert "nothing of 'coin' is recorded in 'lemmata-store': run it first" in err
    assert not (workplace / "lemmata-reports").exists()


def test_a_report_takes_the_largest_scale_that_has_records(workplace, lemmata):
    """Three seeds of a smoke run are no report of eight; one seed more of a laptop run that was stopped is in part."""
    lemmata("run", "coin.py", "--scale", "smoke", "--output", "elsewhere.html")
    status, out, _ = lemmata("report", "coin.py")
    assert status == 0
    assert out == "report, smoke scale: lemmata-reports/coin-smoke.html\n"
    assert "Scale: smoke. 6 of 6 wanted records there" in (workplace / "lemmata-reports/coin-smoke.html").read_text()
    _, out, _ = lemmata("report", "coin.py", "--scale", "laptop", "--output", "asked.html")
    assert "Scale: laptop. 6 of 16 wanted records there" in (workplace / "asked.html").read_text()
    lemmata("run", "coin.py", "--seeds", "4", "--output", "elsewhere.html")
    _, out, _ = lemmata("report", "coin.py")
    assert out == "report, laptop scale: lemmata-reports/coin.html\n"
    assert "8 of 16 wanted records there" in (workplace / "lemmata-reports/coin.html").read_text()


def test_a_scale_without_records_is_refused_with_the_one_that_has_them(workplace, lemmata):
    file = workplace / "coin.py"
    file.write_text(file.read_text() + '\nlate = study.experiment("late", config=Coin, seeds={"paper": 2})\n'
                    "late.trial(lambda configs: [Measurements.of(heads=0.5) for _ in configs])\n")  # fmt: skip
    lemmata("run", "coin.py", "--scale", "smoke")
    status, _, err = lemmata("report", "coin.py", "--scale", "paper")
    assert status == 2
    assert "nothing of 'coin' is recorded at scale 'paper' in 'lemmata-store'" in err
    assert "--scale smoke" in err


def test_compare_with_paper_and_with_another_store(workplace, lemmata):
    lemmata("run", "coin.py")
    lemmata("run", "coin.py", "--store", "other", "--seeds", "4")
    status, out, _ = lemmata("compare", "coin.py", "--with-paper")
    assert status == 0
    assert "1/2" in out
    status, out, _ = lemmata("compare", "coin.py", "coin.py@other")
    assert status == 0
    assert "main seed: 0, 1, 2, 3, 4, 5, 6, 7 | 0, 1, 2, 3" in out
    _, turned, _ = lemmata("compare", "coin.py", "coin.py@lemmata-store", "--store", "other")
    assert "main seed: 0, 1, 2, 3 | 0, 1, 2, 3, 4, 5, 6, 7" in turned
    status, _, err = lemmata("compare", "coin.py", "--with-paper", "--store", "nowhere")
    assert status == 2
    assert "is recorded in 'nowhere'" in err
    status, _, err = lemmata("compare", "coin.py")
    assert status == 2
    assert "--with-paper" in err


def test_processes_engine_gives_the_same_verdict(workplace, lemmata):
    status, out, _ = lemmata("run", "coin.py", "--engine", "processes", "--workers", "2", "--scale", "smoke")
    assert status == 0
    assert "measured" in out
