"""`lemmata doctor` names versions, devices, data and a damaged record."""


def test_doctor_on_a_healthy_store(workplace, lemmata):
    lemmata("run", "coin.py", "--scale", "smoke")
    status, out, _ = lemmata("doctor")
    assert status == 0
    assert "torch" in out
    assert "mnist-5k" in out
    assert "2 records" in out


def test_doctor_without_a_store(workplace, lemmata):
    status, out, _ = lemmata("doctor")
    assert status == 0
    assert "none yet" in out


def test_doctor_names_a_damaged_record(workplace, lemmata):
    lemmata("run", "coin.py", "--scale", "smoke")
    file = next((workplace / "lemmata-store").rglob("record.json"))
    file.write_bytes(file.read_bytes()[:-20])
    status, out, _ = lemmata("doctor")
    assert status == 1
    assert "damaged" in out
