"""Files from public mirrors: checked, continued after an interruption, and never half under their name.

A file arrives as NAME.part beside its place, and gets its name when its checksum is right. Of several processes that
want files in one folder, one fetches them and the others wait.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple

from nn.data.progress import byte_bar
from nn.data.unpack import Content
from nn.serialization import FileFormatError

_ROUNDS = 3  # how often each mirror is asked
_PAUSE = 1.0  # seconds before the second round
_TIMEOUT = 30.0  # seconds without a byte
_PIECE = 1 << 16  # bytes


class Remote(NamedTuple):
    """A file to fetch: its name, the bytes that can be in it at most, and the SHA-256 of what is in it.

    What is in it are the bytes that it unpacks to, if `unpacked`, as mirrors may have compressed them differently.
    """

    name: str
    most: int
    sha256: str
    unpacked: bool


class _MirrorError(Exception):
    """Why a mirror did not give a file, in words; final if it will not do so later either."""

    def __init__(self, reason: object, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def fetch(owner: str, folder: str, mirrors: Sequence[str], files: Sequence[Remote]) -> None:
    """Fetch the files that are not yet in the folder.

    Arguments:
        owner: who wants them, for messages. mirrors: addresses of folders. Where the environment variable
            TENSORGRAPH_MIRROR has an address, that one is asked instead: its folder of the same name, then itself.

    Raises:
        ConnectionError: no mirror gave a file, or what it gave is something else. OSError: it cannot be written here.
            What has arrived is kept, and the next call goes on from there.
    """
    own = os.environ.get("TENSORGRAPH_MIRROR", "").rstrip("/")
    if own and not own.startswith(("http://", "https://")):
        raise ValueError(f"{owner}: TENSORGRAPH_MIRROR must be an address such as http://host/folder, got {own!r}")
    try:
        os.makedirs(folder, exist_ok=True)
        with _locked(folder):
            for file in files:
                path = os.path.join(folder, file.name)
                if not os.path.exists(path):
                    _fetch(owner, path, [f"{own}/{os.path.basename(folder)}", own] if own else mirrors, file)
    except OSError as error:
        if error.errno is None:  # not of the file system, but ours
            raise
        raise type(error)(error.errno, f"{owner}: cannot write to {folder}: {error.strerror}") from None


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """One process at a time. The system ends the lock when the process ends, however that happens."""
    with open(os.path.join(folder, ".lock"), "a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:  # it gives up after 10 seconds
                    pass
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(owner: str, path: str, mirrors: Sequence[str], wanted: Remote) -> None:
    part = f"{path}.part"
    urls = [f"{mirror.rstrip('/')}/{wanted.name}" for mirror in mirrors]
    faults: dict[str, object] = {}
    for turn in range(_ROUNDS):
        if turn and urls:
            time.sleep(_PAUSE * turn)
        for url in list(urls):
            try:
                with open(part, "a+b") as file:
                    resumed = _receive(url, file, wanted) > 0
                    file.flush()
                    os.fsync(file.fileno())
                _check(part, wanted)
                os.replace(part, path)
                return
            except _MirrorError as error:
                faults[url] = error
                if error.final:
                    urls.remove(url)
            except FileFormatError as error:
                faults[url] = error
                os.unlink(part)
                if not resumed:  # else what was kept may be the wrong half
                    urls.remove(url)
    kept = os.path.getsize(part) if os.path.exists(part) else 0
    if kept:
        advice = f"The {kept:,} bytes that came are kept in {part}, try again to go on"
    else:
        advice = f"It belongs into {os.path.dirname(path)}; TENSORGRAPH_DATA names another folder to look in"
        with suppress(FileNotFoundError):
            os.unlink(part)
    reasons = "; ".join(f"{url}: {fault}" for url, fault in faults.items())
    raise ConnectionError(f"{owner}: {wanted.name} cannot be fetched. {reasons}. {advice}")


def _receive(url: str, file: BinaryIO, wanted: Remote) -> int:
    """Append what the file lacks; from which byte on."""
    pieces = _pieces(url, file.seek(0, os.SEEK_END))
    with closing(pieces):
        start, size = next(pieces)
        end = file.truncate(start)
        if size is not None and size > wanted.most:
            raise _MirrorError(f"it has {size:,} bytes, expected at most {wanted.most:,}", final=True)
        with byte_bar(wanted.name, start, size) as bar:
            for piece in pieces:
                file.write(piece)
                end += len(piece)
                bar.update(len(piece))
                if end > wanted.most:
                    file.truncate(0)
                    raise _MirrorError(f"it sends more than {wanted.most:,} bytes", final=True)
        if size is not None and end < size:
            raise _MirrorError(f"the connection ended after {end:,} of {size:,} bytes")
    return start


def _pieces(url: str, start: int) -> Generator[Any, None, None]:
    """Where the answer starts and the size of the whole file, if the mirror says so; then the bytes from there on."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    headers = {"User-Agent": "tensorgraph"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as answer:
            if answer.status != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                start = 0
            length = answer.headers.get("Content-Length", "")
            yield start, start + int(length) if length.isdigit() else None
            while piece := answer.read(_PIECE):
                yield piece
    except HTTPError as error:
        error.close()
        if (
            error.code != 416 or not start
        ):  # 416: there is nothing after what came; the checksum says whether that is right
            raise _MirrorError(f"{error.code} {error.reason}", final=error.code in (401, 403, 404, 410)) from None
        yield start, None
    except (OSError, HTTPException, ValueError) as error:
        raise _MirrorError(getattr(error, "reason", None) or error or type(error).__name__) from None


def _check(path: str, wanted: Remote) -> None:
    from hashlib import sha256

    digest = sha256()
    with open(path, "rb") as file:
        content = Content(file, wanted.most)
        for piece in content.rest(wanted.most) if wanted.unpacked else iter(lambda: file.read(_PIECE), b""):
            digest.update(piece)
    if digest.hexdigest() != wanted.sha256:
        raise FileFormatError(f"its checksum is {digest.hexdigest()}, expected {wanted.sha256}")
