"""Fetch a known corpus: download it, or copy it from a folder, and keep only what has the right SHA-256."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path

import pooch
import requests

from hamner.corpora.files import read_whole, sha256
from hamner.corpora.post import CorpusError
from hamner.corpora.registry import SourceFile, Version, folder_of, version_named
from hamner.files import written_whole

BASE_URL = "https://raw.githubusercontent.com"
IMAGES_README = "https://github.com/jefferyYu/UMT"


def fetch_corpus(
    name: str,
    root: Path | None = None,
    source: Path | None = None,
    images: bool = False,
    *,
    base_url: str = BASE_URL,
    retries: int = 2,
    progress: bool = False,
) -> dict[str, str]:
    """Bring the files of a known version into `root`/`name` (by default into `corpora_folder()`).

    They are downloaded from the version's repository at its commit, or, with `source`, copied from `source`/`name`.
    A file that is already there and right is left alone, so an interrupted fetch goes on where it stopped. Each file
    is verified before it is put in place, and a file with other contents is never replaced.

    Returns what was done, file name -> "already there", "copied" or "downloaded"; nothing for a bundled corpus.

    Raises CorpusError, one sentence with a remedy: unknown name, wrong SHA-256, no connection, a broken-off download,
    a folder that cannot be written, a full disk. With `images`, also when the images are not there yet: no archive of
    them can be verified, so the error says what to do by hand (the texts are fetched first).
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
            data = read_whole(source / name / file)
            if sha256(data) != expected.sha256:
                raise CorpusError(
                    f"{source / name / file}: SHA-256 {sha256(data)} is not {name}'s ({expected.sha256}); "
                    "nothing was copied: get an unchanged copy"
                )
            _store(data, target)
            done[file] = "copied"
        else:
            url = f"{base_url}/{version.repository}/{version.commit}/{expected.path}"
            _store(_download(url, expected, version, retries, progress), target)
            done[file] = "downloaded"
    if images and not os.path.isdir(folder / "images"):
        raise CorpusError(_images_by_hand(version, folder, root))
    return done


def _store(data: bytes, target: Path) -> None:
    with written_whole(target, CorpusError) as temporary:
        temporary.write_bytes(data)


def _keep_or_refuse(target: Path, expected: SourceFile, version: Version) -> None:
    found = sha256(read_whole(target))
    if found != expected.sha256:
        raise CorpusError(
            f"{target}: already there, but not {version.name}'s file: its SHA-256 is {found}, expected "
            f"{expected.sha256}; it was left as it is: move it away and fetch again"
        )


def _download(url: str, expected: SourceFile, version: Version, retries: int, progress: bool) -> bytes:
    pooch.get_logger().setLevel("WARNING")  # our own messages say what is done
    by_hand = f"try again later, or copy the files by hand and run: hamner corpora fetch {version.name} --from DIR"
    file = Path(expected.path).name
    try:
        with tempfile.TemporaryDirectory() as folder:
            getter = pooch.create(
                path=folder,
                base_url="",
                registry={file: f"sha256:{expected.sha256}"},
                urls={file: url},
                retry_if_failed=retries,
            )
            downloaded = getter.fetch(file, downloader=pooch.HTTPDownloader(progressbar=progress))
            return Path(downloaded).read_bytes()
    except requests.HTTPError as error:
        answer = "an error" if error.response is None else error.response.status_code
        raise CorpusError(f"{url}: the server answers {answer}; {by_hand}") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise CorpusError(f"{url}: the download broke off before its end, nothing was kept; {by_hand}") from error
    except requests.Timeout as error:
        raise CorpusError(f"{url}: the server does not answer in time; {by_hand}") from error
    except requests.RequestException as error:
        raise CorpusError(f"{url}: no connection ({type(error).__name__}); check the network, {by_hand}") from error
    except ValueError as error:  # how pooch reports a wrong hash, naming both
        raise CorpusError(f"{url}: {str(error).split(' Deleted')[0]} Nothing was kept; {by_hand}") from error
    except OSError as error:
        raise CorpusError(
            f"{tempfile.gettempdir()}: the download cannot be stored ({error.strerror}); free some room there "
            "or name another folder in TMPDIR"
        ) from error


def _images_by_hand(version: Version, folder: Path, root: Path | None) -> str:
    read_from = f" --from {shlex.quote(str(root))}" if root else ""
    return (
        f"the images of {version.name} have to be fetched by hand: no licensed archive of them lies at a stable "
        f"address where it could be verified. (1) Follow the link to the authors' archive in the README of "
        f"{IMAGES_README}. (2) Unpack the images to {folder / 'images'}/ID.jpg. "
        f"(3) Run: hamner corpora check {version.name}{read_from}"
    )
