"""Downloads from a real HTTP server on 127.0.0.1: resumed, interrupted, refused, corrupt, too long, and a full disk."""

import io
import subprocess
import sys
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from lemmata import data
from lemmata.data import sources
from lemmata.data.sources import File
from lemmata.errors import CorruptFile, DataMissing, UnknownName

CONTENT = {
    file.name: np.random.default_rng(i).bytes(size)
    for i, (file, size) in enumerate(zip(sources.MNIST.files, (1_000_000, 1000, 50_000, 10), strict=True))
}
FIRST = "train-images-idx3-ubyte.gz"


def files_of(content):
    return tuple(File(name, md5(body).hexdigest(), len(body)) for name, body in content.items())


@dataclass
class Mirror:
    """A server's files and manners, and the requests it got as (path, Range header or None)."""

    files: dict[str, bytes]
    ranges: bool = True
    status: int = 200
    cut_after: int | None = None  # each reply breaks off after so many bytes
    declares_length: bool = True
    requests: list = field(default_factory=list)
    url: str = ""

    def reply(self, handler: BaseHTTPRequestHandler):
        wanted = handler.headers.get("Range")
        self.requests.append((handler.path[1:], wanted))
        body = self.files.get(handler.path[1:])
        if body is None or self.status != 200:
            handler.send_error(404 if body is None else self.status)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if self.declares_length:
            handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        handler.wfile.write(body[start:] if self.cut_after is None else body[start : start + self.cut_after])


@contextmanager
def served(mirror: Mirror):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            mirror.reply(self)

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    mirror.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def small_mnist(monkeypatch):
    """Declare small files to be the published ones, and let no proxy come between."""
    monkeypatch.setitem(sources.SOURCES, "mnist", replace(sources.MNIST, files=files_of(CONTENT)))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def get(tmp_path, *mirrors: Mirror, name="mnist"):
    return data.download(name, tmp_path, progress=False, mirrors=[mirror.url for mirror in mirrors])


def assert_all_there(tmp_path):
    folder = tmp_path / "mnist"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT  # and no .part is left


def test_four_files_come_and_are_not_asked_for_again(tmp_path):
    with served(Mirror(CONTENT)) as mirror:
        assert get(tmp_path, mirror) == tmp_path / "mnist"
        assert get(tmp_path, mirror) == tmp_path / "mnist"
    assert_all_there(tmp_path)
    assert mirror.requests == [(name, None) for name in CONTENT]


def test_a_damaged_file_is_fetched_anew(tmp_path):
    with served(Mirror(CONTENT)) as mirror:
        get(tmp_path, mirror)
        (tmp_path / "mnist" / FIRST).write_bytes(b"damaged")
        get(tmp_path, mirror)
    assert_all_there(tmp_path)
    assert mirror.requests[4:] == [(FIRST, None)]


@pytest.mark.parametrize("declares_length", [True, False])
def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path, declares_length):
    with served(Mirror(CONTENT, cut_after=400_000, declares_length=declares_length)) as mirror:
        get(tmp_path, mirror)
    assert_all_there(tmp_path)
    assert mirror.requests[:3] == [(FIRST, None), (FIRST, "bytes=400000-"), (FIRST, "bytes=800000-")]


def test_a_later_run_goes_on_where_the_first_gave_up(tmp_path):
    with served(Mirror(CONTENT, cut_after=200_000)) as mirror:
        with pytest.raises(DataMissing, match=r"broke off at 600,000 of 1,000,000 bytes .*Run the same command again"):
            get(tmp_path, mirror)
        assert not (tmp_path / "mnist" / FIRST).exists()
        get(tmp_path, mirror)
    assert_all_there(tmp_path)
    assert [asked for name, asked in mirror.requests if name == FIRST][3] == "bytes=600000-"


def test_a_server_without_ranges_begins_again(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    (folder / f"{FIRST}.part").write_bytes(CONTENT[FIRST][:300_000])
    with served(Mirror(CONTENT, ranges=False)) as mirror:
        get(tmp_path, mirror)
    assert_all_there(tmp_path)
    assert mirror.requests == [(FIRST, "bytes=300000-")] + [(name, None) for name in list(CONTENT)[1:]]


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * 1_000_000, b"x" * 1_000_001])
def test_wrong_bytes_left_by_another_mirror_are_thrown_away(tmp_path, left):
    folder = tmp_path / "mnist"
    folder.mkdir()
    (folder / f"{FIRST}.part").write_bytes(left)
    with served(Mirror(CONTENT)) as mirror:
        get(tmp_path, mirror)
    assert_all_there(tmp_path)


def test_a_run_killed_before_the_rename_has_nothing_left_to_fetch(tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / f"{FIRST}.part").write_bytes(CONTENT[FIRST])
    with served(Mirror(CONTENT)) as mirror:
        get(tmp_path, mirror)
    assert_all_there(tmp_path)
    assert mirror.requests == [(name, None) for name in list(CONTENT)[1:]]


def test_wrong_contents_are_never_put_in_place(tmp_path):
    wrong = {**CONTENT, FIRST: CONTENT[FIRST][::-1]}
    with (
        served(Mirror(wrong)) as mirror,
        pytest.raises(CorruptFile, match=rf"cannot fetch {FIRST}; http://127\.0\.0\.1.* not the published file \(md5 "),
    ):
        get(tmp_path, mirror)
    assert list((tmp_path / "mnist").iterdir()) == []


def test_the_next_mirror_is_asked_when_one_is_wrong_missing_or_gone(tmp_path):
    wrong = Mirror({**CONTENT, FIRST: CONTENT[FIRST][::-1]})
    with served(wrong), served(Mirror({})) as empty, served(Mirror(CONTENT)) as sound:
        with served(Mirror({})) as gone:
            pass
        get(tmp_path, gone, empty, wrong, sound)
    assert_all_there(tmp_path)
    assert sound.requests == [(FIRST, None)]  # the others came from the mirror before


@pytest.mark.parametrize("status", [403, 500, 503])
def test_what_each_mirror_said_is_told(tmp_path, status):
    with served(Mirror({})) as empty, served(Mirror(CONTENT, status=status)) as closed:
        with served(Mirror({})) as gone:
            pass
        with pytest.raises(DataMissing) as raised:
            get(tmp_path, empty, closed, gone)
    said = str(raised.value)
    assert f"{empty.url}{FIRST}: the server answers 404 Not Found" in said
    assert f"{closed.url}{FIRST}: the server answers {status}" in said
    assert f"{gone.url}{FIRST}: [Errno" in said
    assert f"or put the file into {tmp_path / 'mnist'} yourself" in said


@pytest.mark.parametrize("left", [0, 300_000])
def test_more_bytes_than_published_are_not_written(tmp_path, left):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / f"{FIRST}.part").write_bytes(CONTENT[FIRST][:left])
    endless = {**CONTENT, FIRST: CONTENT[FIRST] + b"x" * 100}
    with (
        served(Mirror(endless, declares_length=False)) as mirror,
        pytest.raises(DataMissing, match=r"it sends more than the published 1,000,000 bytes"),
    ):
        get(tmp_path, mirror)
    assert sum(path.stat().st_size for path in (tmp_path / "mnist").iterdir()) == 0
    assert len(mirror.requests) == 1


def test_a_full_disk_is_told_and_what_is_there_serves_the_next_run(tmp_path):
    program = f"""
import resource
from dataclasses import replace
from lemmata import data
from lemmata.data import sources
from lemmata.data.sources import File
from lemmata.errors import DataMissing
sources.SOURCES["mnist"] = replace(sources.MNIST, files={files_of(CONTENT)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    data.download("mnist", {str(tmp_path)!r}, progress=False, mirrors=["URL"])
except DataMissing as error:
    print(error)
"""
    with served(Mirror(CONTENT)) as mirror:
        done = subprocess.run(
            [sys.executable, "-c", program.replace("URL", mirror.url)], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith(f"cannot write to {tmp_path / 'mnist'}: File too large; free some space")
        kept = (tmp_path / "mnist" / f"{FIRST}.part").stat().st_size
        assert 0 < kept <= 500_000
        get(tmp_path, mirror)
    assert_all_there(tmp_path)
    assert mirror.requests[1] == (FIRST, f"bytes={kept}-")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "mnist").write_text("a file where the folder should be")
    with pytest.raises(DataMissing, match=r"cannot write to .*/mnist: File exists; free some space or choose another"):
        data.download("mnist", tmp_path, progress=False)


def archive_of(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, body in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return packed.getvalue()


@pytest.fixture
def small_cifar(monkeypatch):
    batches = {file.name: bytes([k]) * 50 for k, file in enumerate(sources.CIFAR10.files)}

    def declare(members):
        body = archive_of(members)
        archive = File("cifar-10-binary.tar.gz", md5(body).hexdigest(), len(body))
        row = replace(sources.CIFAR10, files=files_of(batches), archive=archive)
        monkeypatch.setitem(sources.SOURCES, "cifar10", row)
        return {archive.name: body}

    return batches, declare


def test_an_archive_gives_its_known_files_and_nothing_else(tmp_path, small_cifar):
    batches, declare = small_cifar
    strange = {"../../escaped.bin": b"out", "/etc/escaped": b"out", "cifar/readme.html": b"<html>"}
    files = declare({f"cifar/{name}": body for name, body in batches.items()} | strange)
    with served(Mirror(files)) as mirror:
        folder = get(tmp_path, mirror, name="cifar10")
    assert folder is not None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == batches
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(batches)


def test_an_archive_that_was_fetched_but_not_unpacked_is_not_fetched_again(tmp_path, small_cifar):
    batches, declare = small_cifar
    files = declare(batches)
    with served(Mirror(files)) as mirror:
        folder = get(tmp_path, mirror, name="cifar10")
        assert folder is not None
        (folder / "cifar-10-binary.tar.gz").write_bytes(files["cifar-10-binary.tar.gz"])
        (folder / "data_batch_3.bin").unlink()
        get(tmp_path, mirror, name="cifar10")
    assert len(mirror.requests) == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == batches


def test_an_archive_without_one_of_its_files(tmp_path, small_cifar):
    batches, declare = small_cifar
    files = declare({name: body for name, body in batches.items() if name != "test_batch.bin"})
    with (
        served(Mirror(files)) as mirror,
        pytest.raises(
            CorruptFile, match=r"cifar-10-binary\.tar\.gz holds no sound test_batch\.bin; delete the archive"
        ),
    ):
        get(tmp_path, mirror, name="cifar10")


def test_nothing_to_fetch_and_unknown_names(tmp_path):
    assert data.download("mnist-5k", tmp_path) is None
    with pytest.raises(UnknownName, match="unknown dataset 'mnits'; did you mean 'mnist'"):
        data.download("mnits", tmp_path)


def test_progress_is_drawn_on_standard_error(tmp_path, capsys):
    with served(Mirror(CONTENT)) as mirror:
        data.download("mnist", tmp_path, mirrors=[mirror.url])
    shown = capsys.readouterr()
    assert FIRST in shown.err
    assert shown.out == ""
