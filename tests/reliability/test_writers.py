"""Four processes that run the same study into one store at the same time."""

from lemmata.records import Store


def test_four_writers_on_one_store(start, undisturbed, measured, tmp_path):
    store = tmp_path / "store"
    writers = [start(store, engine=engine) for engine in ("serial", "serial", "serial", "processes")]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    assert measured(Store(store)) == undisturbed
    assert Store(store).check() == []
    assert list((store / "staging").iterdir()) == []
    assert not (store / "quarantine").exists()
    assert set(Store(store).members()) == set(undisturbed)
