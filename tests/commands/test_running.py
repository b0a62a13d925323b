"""The main job from the command line: plan, run, run again, report, compare."""

import re


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
    assert "forecast" in out
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


def test_report_of_nothing_recorded_says_so(workplace, lemmata):
    status, _, _ = lemmata("report", "coin.py")
    assert status == 0
    page = (workplace / "lemmata-reports" / "coin.html").read_text()
    assert "inconclusive" in page


def test_compare_with_paper_and_with_another_store(workplace, lemmata):
    lemmata("run", "coin.py")
    lemmata("run", "coin.py", "--store", "other", "--seeds", "4")
    status, out, _ = lemmata("compare", "coin.py", "--with-paper")
    assert status == 0
    assert "1/2" in out
    status, out, _ = lemmata("compare", "coin.py", "coin.py@other")
    assert status == 0
    status, _, err = lemmata("compare", "coin.py")
    assert status == 2
    assert "--with-paper" in err


def test_processes_engine_gives_the_same_verdict(workplace, lemmata):
    status, out, _ = lemmata("run", "coin.py", "--engine", "processes", "--workers", "2", "--scale", "smoke")
    assert status == 0
    assert "measured" in out
