from __future__ import annotations

import errno
import gzip
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from hamner.corpora import VERSIONS, CorpusError, Version, fetch_corpus, load_corpus
from hamner.corpora.files import sha256
from hamner.corpora.registry import SourceFile

TEXTS = {f"{split}.txt": f"IMGID:{split}\nKelso\tB-PER\n\n".encode() for split in ("train", "valid", "test")}


class Server(ThreadingHTTPServer):
    """Answers with `bodies`; a path in `cut` is announced whole and broken off half-way, as often as `cut` says.

    A path in `hostile` is answered by the function there, which gets the handler.
    """

    daemon_threads = True
    bodies: dict[str, bytes]
    cut: dict[str, int]
    asked: list[str]
    hostile: dict[str, Callable[[BaseHTTPRequestHandler], None]]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path in self.server.hostile:
            with suppress(BrokenPipeError, ConnectionResetError):
                self.server.hostile[self.path](self)
            return
        body = self.server.bodies.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cut.get(self.path, 0) > 0:
            self.server.cut[self.path] -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.bodies = {f"/someone/tiny/abc/data/{file}": text for file, text in TEXTS.items()}
        server.cut, server.asked, server.hostile = {}, [], {}
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def url(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Version:
    """A known version of three tiny files."""
    files = {file: SourceFile(f"data/{file}", len(text), sha256(text)) for file, text in TEXTS.items()}
    version = Version("tiny", "for tests", "someone/tiny", "abc", files)
    monkeypatch.setitem(VERSIONS, "tiny", version)  # type: ignore[arg-type]
    return version


def files_in(root: Path) -> dict[str, bytes]:
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_a_corpus_is_downloaded_verified_and_loads(url: str, tmp_path: Path) -> None:
    done = fetch_corpus("tiny", tmp_path, base_url=url)
    assert done == dict.fromkeys(TEXTS, "downloaded")
    assert files_in(tmp_path) == {f"tiny/{file}": text for file, text in TEXTS.items()}
    assert load_corpus("tiny", tmp_path).test[0].id == "test"


def test_a_fetched_file_is_readable_to_whom_the_umask_allows(url: str, tmp_path: Path) -> None:
    fetch_corpus("tiny", tmp_path, base_url=url)
    (tmp_path / "plain").touch()
    assert (tmp_path / "tiny" / "train.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_server_that_stops_half_way_is_named_and_leaves_nothing_half_written(
    server: Server, url: str, tmp_path: Path
) -> None:
    path = "/someone/tiny/abc/data/valid.txt"
    server.cut[path] = 9
    with pytest.raises(CorpusError, match=r"data/valid\.txt: the download broke off"):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)
    assert files_in(tmp_path) == {"tiny/train.txt": TEXTS["train.txt"]}


def test_an_interrupted_fetch_goes_on_where_it_stopped(server: Server, url: str, tmp_path: Path) -> None:
    server.cut["/someone/tiny/abc/data/valid.txt"] = 1
    with pytest.raises(CorpusError):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)
    server.asked.clear()
    done = fetch_corpus("tiny", tmp_path, base_url=url, retries=0)
    assert done == {"train.txt": "already there", "valid.txt": "downloaded", "test.txt": "downloaded"}
    assert server.asked == ["/someone/tiny/abc/data/valid.txt", "/someone/tiny/abc/data/test.txt"]


def test_a_download_that_broke_off_is_tried_again(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    server.cut["/someone/tiny/abc/data/train.txt"] = 1
    assert fetch_corpus("tiny", tmp_path, base_url=url, retries=1)["train.txt"] == "downloaded"


def test_a_wrong_hash_from_the_server_names_both_and_keeps_nothing(server: Server, url: str, tmp_path: Path) -> None:
    other = TEXTS["train.txt"].replace(b"Kelso", b"Orlan")
    server.bodies["/someone/tiny/abc/data/train.txt"] = other
    with pytest.raises(CorpusError) as error:
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)
    assert sha256(other) in str(error.value)
    assert sha256(TEXTS["train.txt"]) in str(error.value)
    assert files_in(tmp_path) == {}


@pytest.fixture
def of_unknown_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """The known version, its sizes not known."""
    files = {file: SourceFile(f"data/{file}", None, sha256(text)) for file, text in TEXTS.items()}
    monkeypatch.setitem(VERSIONS, "tiny", Version("tiny", "for tests", "someone/tiny", "abc", files))  # type: ignore[arg-type]


@pytest.mark.usefixtures("of_unknown_size")
def test_a_file_whose_size_is_not_known_is_verified_by_its_sha256(server: Server, url: str, tmp_path: Path) -> None:
    assert fetch_corpus("tiny", tmp_path, base_url=url) == dict.fromkeys(TEXTS, "downloaded")
    assert fetch_corpus("tiny", tmp_path / "copy", source=tmp_path) == dict.fromkeys(TEXTS, "copied")
    for wrong in (TEXTS["train.txt"] + b"\n", TEXTS["train.txt"][:-1], b""):
        server.bodies["/someone/tiny/abc/data/train.txt"] = wrong
        with pytest.raises(CorpusError, match=f"{sha256(wrong)}.*Nothing was kept"):
            fetch_corpus("tiny", tmp_path / "wrong", base_url=url, retries=0)
        assert files_in(tmp_path / "wrong") == {}


@pytest.mark.usefixtures("of_unknown_size")
def test_a_file_whose_size_is_not_known_is_read_up_to_a_bound(
    server: Server, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hamner.corpora.fetch.MOST_BYTES", 1_000_000)
    server.bodies["/someone/tiny/abc/data/train.txt"] = b"x" * 1_000_001
    with pytest.raises(CorpusError, match=r"more than the 1,000,000 bytes that are read\. Nothing was kept"):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)
    assert files_in(tmp_path) == {}


TRAIN = "/someone/tiny/abc/data/train.txt"
SIZE = len(TEXTS["train.txt"])


def answer(handler: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"", **headers: object) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


def endless(handler: BaseHTTPRequestHandler) -> None:
    answer(handler)
    handler.server.sent = 0  # type: ignore[attr-defined]
    for _ in range(2_000):  # 128 MB, if the client goes on reading
        handler.wfile.write(b"x" * 65536)
        handler.server.sent += 65536  # type: ignore[attr-defined]


def drip(handler: BaseHTTPRequestHandler) -> None:
    answer(handler, Content_Length=SIZE)
    for _ in range(100):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.2)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.2)


def test_an_endless_body_is_read_to_the_known_size_and_no_further(server: Server, url: str, tmp_path: Path) -> None:
    server.hostile[TRAIN] = endless
    with pytest.raises(
        CorpusError, match=rf"train\.txt: more than the {SIZE} bytes that the file has\. Nothing was kept;"
    ):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)
    time.sleep(0.3)
    assert server.sent < 20_000_000  # type: ignore[attr-defined]  # what the sockets' buffers take
    assert files_in(tmp_path) == {}


def test_a_compressed_body_is_bounded_by_what_it_expands_to(server: Server, url: str, tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    server.hostile[TRAIN] = lambda handler: answer(
        handler, 200, bomb, Content_Encoding="gzip", Content_Length=len(bomb)
    )
    with pytest.raises(CorpusError, match=rf"more than the {SIZE} bytes"):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)


@pytest.mark.parametrize("slow", [drip, drip_headers])
def test_a_server_that_sends_a_byte_at_a_time_is_given_up(
    slow: Callable[[BaseHTTPRequestHandler], None], server: Server, url: str, tmp_path: Path
) -> None:
    server.hostile[TRAIN] = slow
    started = time.monotonic()
    with pytest.raises(
        CorpusError, match=r"train\.txt: no whole file within 0\.5 s, nothing was kept; try again later"
    ):
        fetch_corpus("tiny", tmp_path, base_url=url, seconds=0.5)
    assert time.monotonic() - started < 5
    assert files_in(tmp_path) == {}


def test_a_shorter_file_is_named_with_both_lengths(server: Server, url: str, tmp_path: Path) -> None:
    server.bodies[TRAIN] = b"short"
    with pytest.raises(CorpusError, match=rf"train\.txt: 5 bytes, but the file has {SIZE}\. Nothing was kept"):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)


@pytest.mark.parametrize("to", [TRAIN, "file:///etc/passwd", "http://[::1", "ftp://localhost/train.txt"])
def test_redirects_that_lead_nowhere_are_one_sentence(to: str, server: Server, url: str, tmp_path: Path) -> None:
    server.hostile[TRAIN] = lambda handler: answer(handler, 302, Location=to, Content_Length=0)
    with pytest.raises(CorpusError, match=r"train\.txt: the server redirects to no usable address; try again later"):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)


def test_a_redirect_to_the_right_file_is_followed(server: Server, url: str, tmp_path: Path) -> None:
    server.bodies["/moved"] = TEXTS["train.txt"]
    server.hostile[TRAIN] = lambda handler: answer(handler, 302, Location=f"{url}/moved", Content_Length=0)
    assert fetch_corpus("tiny", tmp_path, base_url=url)["train.txt"] == "downloaded"


@pytest.mark.parametrize(
    "broken",
    [
        lambda handler: handler.wfile.write(b"\x16\x03\x01\x00\xff" * 100),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"),
        lambda handler: answer(handler, 200, b"no gzip", Content_Encoding="gzip", Content_Length=7),
        lambda handler: answer(handler, 200, b"", Content_Length=0),
        lambda handler: answer(handler, 200, TEXTS["train.txt"], Content_Length=2**62),
    ],
    ids=["no HTTP", "a long header", "no gzip", "empty", "a length never reached"],
)
def test_any_other_broken_answer_is_one_sentence(
    broken: Callable[[BaseHTTPRequestHandler], None], server: Server, url: str, tmp_path: Path
) -> None:
    server.hostile[TRAIN] = broken
    with pytest.raises(CorpusError, match=rf"^{url}{TRAIN}: .*hamner corpora fetch tiny --from DIR$"):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)
    assert files_in(tmp_path) == {}


def test_a_file_that_the_server_lacks_is_named_with_the_status(server: Server, url: str, tmp_path: Path) -> None:
    del server.bodies["/someone/tiny/abc/data/train.txt"]
    with pytest.raises(CorpusError, match=r"data/train\.txt: the server answers 404"):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)


def test_without_a_network_the_way_by_hand_is_named(server: Server, url: str, tmp_path: Path) -> None:
    server.socket.close()
    with pytest.raises(CorpusError, match=r"no connection.*hamner corpora fetch tiny --from DIR"):
        fetch_corpus("tiny", tmp_path, base_url=url, retries=0)


def test_a_disk_that_fills_up_in_the_download_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(requests, "get", full)
    with pytest.raises(CorpusError, match="No space left on device"):
        fetch_corpus("tiny", tmp_path)
    assert files_in(tmp_path) == {}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    folder = tmp_path / "copies" / "tiny"
    folder.mkdir(parents=True)
    for file, text in TEXTS.items():
        (folder / file).write_bytes(text)
    return folder.parent


def test_a_local_copy_is_verified_and_copied(copy: Path, tmp_path: Path) -> None:
    assert fetch_corpus("tiny", tmp_path / "to", copy) == dict.fromkeys(TEXTS, "copied")
    assert files_in(tmp_path / "to") == {f"tiny/{file}": text for file, text in TEXTS.items()}


def test_a_local_copy_with_a_wrong_hash_is_not_copied(copy: Path, tmp_path: Path) -> None:
    (copy / "tiny" / "train.txt").write_bytes(b"changed")
    with pytest.raises(CorpusError, match=rf"train\.txt: SHA-256 {sha256(b'changed')} is not tiny's"):
        fetch_corpus("tiny", tmp_path / "to", copy)
    assert files_in(tmp_path / "to") == {}


def test_a_local_copy_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"tiny/train\.txt: cannot be read"):
        fetch_corpus("tiny", tmp_path / "to", tmp_path / "nowhere")


def test_a_changed_file_at_the_place_is_never_replaced(copy: Path, tmp_path: Path) -> None:
    target = tmp_path / "to" / "tiny" / "train.txt"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"my own work")
    with pytest.raises(CorpusError, match="it was left as it is: move it away"):
        fetch_corpus("tiny", tmp_path / "to", copy)
    assert target.read_bytes() == b"my own work"


def test_a_folder_that_cannot_be_written_is_one_error(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(CorpusError, match="cannot be written"):
        fetch_corpus("tiny", tmp_path / "taken", copy)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(CorpusError, match="Permission denied"):
        fetch_corpus("tiny", tmp_path / "to", copy)
    assert files_in(tmp_path / "to") == {}


def test_images_are_to_be_fetched_by_hand_after_the_texts_are_there(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"README of https://github.com/jefferyYu/UMT.*tiny/images/ID\.jpg.*check tiny"
    ):
        fetch_corpus("tiny", tmp_path / "to", copy, images=True)
    assert len(files_in(tmp_path / "to")) == 3
    (tmp_path / "to" / "tiny" / "images").mkdir()
    assert set(fetch_corpus("tiny", tmp_path / "to", copy, images=True).values()) == {"already there"}


def test_a_bundled_corpus_needs_no_fetching(tmp_path: Path) -> None:
    assert fetch_corpus("minitweets", tmp_path) == {}


def test_a_misspelt_name_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="did you mean twitter2015"):
        fetch_corpus("twitter205", tmp_path)
