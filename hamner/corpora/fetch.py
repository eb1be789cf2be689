"""Fetch a known corpus: download it, or copy it from a folder, and keep only files with the right SHA-256."""

from __future__ import annotations

import os
import queue
import shlex
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pooch
import requests

from hamner.corpora.files import sha256
from hamner.corpora.post import CorpusError
from hamner.corpora.registry import SourceFile, Version, folder_of, version_named
from hamner.files import read_whole, written_whole
from hamner.terminal import progress_bar

BASE_URL = "https://raw.githubusercontent.com"
IMAGES_README = "https://github.com/jefferyYu/UMT"
TIMEOUT = (10, 30)
"""Seconds to wait for a connection, and for the next bytes."""

MOST_BYTES = 2**24
"""Upper bound on a download whose size is not known: no text of a known corpus has a tenth of it."""


def fetch_corpus(
    name: str,
    root: Path | None = None,
    source: Path | None = None,
    images: bool = False,
    *,
    base_url: str = BASE_URL,
    retries: int = 2,
    seconds: float = 300,
    progress: bool = False,
) -> dict[str, str]:
    """Bring the files of a known version into `root`/`name` (by default into `corpora_folder()`).

    The files are downloaded from the version's repository at its commit; with `source`, they are copied from
    `source`/`name`. Each file is verified before it is put in place. A file that is there and right is kept, so an
    interrupted fetch continues; a file with other contents is never replaced. A download reads at most the file's known
    size (MOST_BYTES where it is not known), and takes at most `seconds` a file, all `retries` together.

    Returns file name -> "already there", "copied" or "downloaded"; empty for a bundled corpus.

    Raises CorpusError, one sentence with a remedy, for an unknown name, a wrong size or SHA-256, no connection, a
    broken-off or endless download, a folder that cannot be written, and a full disk. With `images`, raises it as well
    when the images are missing: no archive of them can be verified, so the error tells how to get them by hand, after
    the texts are fetched.
    """
    version = version_named(name)
    folder = folder_of(version, root)
    done: dict[str, str] = {}
    if version.bundled:
        return done
    for file, expected in version.files.items():
        target = folder / file
        if os.path.exists(target):
            _keep_or_refuse(target, expected, version)
            done[file] = "already there"
        elif source is not None:
            data = read_whole(source / name / file, CorpusError)
            if sha256(data) != expected.sha256:
                raise CorpusError(
                    f"{source / name / file}: SHA-256 {sha256(data)} is not {name}'s ({expected.sha256}); "
                    "nothing was copied: get an unchanged copy"
                )
            _store(data, target)
            done[file] = "copied"
        else:
            url = f"{base_url}/{version.repository}/{version.commit}/{expected.path}"
            _store(_download(url, expected, version, retries, seconds, progress), target)
            done[file] = "downloaded"
    if images and not os.path.isdir(folder / "images"):
        raise CorpusError(_images_by_hand(version, folder, root))
    return done


def _store(data: bytes, target: Path) -> None:
    with written_whole(target, CorpusError) as temporary:
        temporary.write_bytes(data)


def _keep_or_refuse(target: Path, expected: SourceFile, version: Version) -> None:
    digest = sha256(read_whole(target, CorpusError))
    if digest != expected.sha256:
        raise CorpusError(
            f"{target}: already there, but not {version.name}'s file: its SHA-256 is {digest}, expected "
            f"{expected.sha256}; it was left as it is: move it away and fetch again"
        )


def _download(url: str, expected: SourceFile, version: Version, retries: int, seconds: float, progress: bool) -> bytes:
    """The verified bytes behind `url`. Raises CorpusError, one sentence for each way in which a download fails."""
    by_hand = f"try again later, or copy the files by hand and run: hamner corpora fetch {version.name} --from DIR"
    try:
        return _within(seconds, lambda: _verified(url, expected, retries, progress))
    except TimeoutError as error:
        raise CorpusError(f"{url}: no whole file within {seconds:g} s, nothing was kept; {by_hand}") from error
    except requests.HTTPError as error:
        answer = "an error" if error.response is None else error.response.status_code
        raise CorpusError(f"{url}: the server answers {answer}; {by_hand}") from error
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError) as error:
        raise CorpusError(f"{url}: the download broke off before its end, nothing was kept; {by_hand}") from error
    except requests.Timeout as error:
        raise CorpusError(f"{url}: the server does not answer in time; {by_hand}") from error
    except (requests.TooManyRedirects, requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise CorpusError(f"{url}: the server redirects to no usable address; {by_hand}") from error
    except requests.RequestException as error:
        raise CorpusError(f"{url}: no connection ({type(error).__name__}); check the network, {by_hand}") from error
    except ValueError as error:  # a wrong size, or pooch's report of a wrong hash, which names both hashes
        raise CorpusError(f"{url}: {str(error).split(' Deleted')[0]} Nothing was kept; {by_hand}") from error
    except OSError as error:
        raise CorpusError(
            f"{tempfile.gettempdir()}: the download cannot be stored ({error.strerror}); free some room there "
            "or name another folder in TMPDIR"
        ) from error


def _verified(url: str, expected: SourceFile, retries: int, progress: bool) -> bytes:
    """Download with `retries`; pooch verifies the SHA-256."""
    pooch.get_logger().setLevel("WARNING")  # our own messages report what is done
    file = Path(expected.path).name

    def download(url: str, output_file: str, _: object) -> None:
        _stream(url, Path(output_file), expected.bytes, progress)

    with tempfile.TemporaryDirectory() as folder:
        getter = pooch.create(
            path=folder,
            base_url="",
            registry={file: f"sha256:{expected.sha256}"},
            urls={file: url},
            retry_if_failed=retries,
        )
        return Path(getter.fetch(file, downloader=download)).read_bytes()


def _stream(url: str, output: Path, size: int | None, progress: bool) -> None:
    """Write the body behind `url` to `output`.

    Raises ValueError once its length is known not to be `size` bytes; without a size, once it exceeds MOST_BYTES.
    """
    plain = {"Accept-Encoding": "identity"}
    try:
        answer = requests.get(url, headers=plain, stream=True, timeout=TIMEOUT)
    except ValueError as error:  # what the address of a redirect raises in urllib
        raise requests.exceptions.InvalidURL(str(error)) from error
    with answer as response, output.open("wb") as file:
        response.raise_for_status()
        received, most = 0, MOST_BYTES if size is None else size
        counts = f"bytes of {url.rsplit('/', 1)[-1]}"
        with progress_bar(counts=counts, unit="B", shown=progress, total=size, unit_scale=True) as bar:
            for chunk in response.iter_content(1 << 14):
                received += len(chunk)
                if received > most:
                    of = "are read" if size is None else "the file has"
                    raise ValueError(f"more than the {most:,} bytes that {of}.")
                file.write(chunk)
                bar.update(len(chunk))
    if size is not None and received < size:
        raise ValueError(f"{received:,} bytes, but the file has {size:,}.")


def _within(seconds: float, work: Callable[[], bytes]) -> bytes:
    """The result of `work`, or its exception. Raises TimeoutError when it takes longer than `seconds`.

    Timeouts of a socket only bound the wait for the next byte: a server that sends a byte a second would hold us for
    days. So the work runs in a thread, which a late answer finds abandoned.
    """
    outcome: queue.SimpleQueue[bytes | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put(work())
        except BaseException as error:
            outcome.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        result = outcome.get(timeout=seconds)
    except queue.Empty as error:
        raise TimeoutError from error
    if isinstance(result, BaseException):
        raise result
    return result


def _images_by_hand(version: Version, folder: Path, root: Path | None) -> str:
    read_from = f" --from {shlex.quote(str(root))}" if root else ""
    return (
        f"the images of {version.name} must be fetched by hand: no licensed archive of them has a stable address, so "
        f"none can be verified. (1) Follow the link to the authors' archive in the README of {IMAGES_README}. "
        f"(2) Unpack the images to {folder / 'images'}/ID.jpg. "
        f"(3) Run: hamner corpora check {version.name}{read_from}"
    )
