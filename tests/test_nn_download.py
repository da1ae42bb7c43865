"""Downloads, from servers on this computer that work, lie, stop in the middle, or are not there."""

import contextlib
import errno
import gzip
import hashlib
import http.server
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import nn
from nn.data import CIFAR10, MNIST, download
from nn.data.download import Remote, fetch

FOLDER = os.environ.get("TENSORGRAPH_DATA")
CONTENT = np.random.default_rng(0).bytes(300_000)


def remote(content=CONTENT, name="file", most=None, unpacked=False):
    return Remote(name, most or len(content), hashlib.sha256(content).hexdigest(), unpacked)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    monkeypatch.setattr(download, "_TIMEOUT", 0.5)
    monkeypatch.delenv("TENSORGRAPH_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


class Server:
    """Serves `files`; `requests` are the paths asked for, each with the first byte wanted.

    break_after: of each answer so many bytes, then the connection ends. ranges: whether it can begin in the middle.
    lengths: whether it says how long an answer is. slow: bytes a second.
    """

    def __init__(self, files, break_after=None, ranges=True, lengths=True, status=None, hang=False, slow=None):
        outer = self
        self.requests = []
        self.files, self.break_after, self.status = files, break_after, status

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if lengths else "HTTP/1.0"

            def do_GET(self):
                wanted = self.headers.get("Range", "bytes=0-")
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                outer.requests.append((self.path, start))
                content = outer.files.get(self.path)
                if hang:
                    time.sleep(1)
                if outer.status or content is None:
                    return self.send_error(outer.status or 404)
                if start >= len(content) and start and ranges:
                    return self.send_error(416)
                start = start if ranges else 0
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                if lengths:
                    self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                end = len(content) if outer.break_after is None else start + outer.break_after
                with contextlib.suppress(OSError):
                    for place in range(start, min(end, len(content)), 1000):
                        self.wfile.write(content[place : min(place + 1000, end)])
                        if slow:
                            time.sleep(1000 / slow)
                if end < len(content):
                    self.close_connection = True
                return None

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def left(folder):
    """The files in a folder but the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


# --- a file arrives --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_arrives(tmp_path, lengths):
    with Server({"/file": CONTENT}, lengths=lengths) as server:
        fetch("X", str(tmp_path / "a" / "b"), [server.address], [remote()])
        fetch("X", str(tmp_path / "a" / "b"), [server.address], [remote()])
        assert server.requests == [("/file", 0)]  # the second time it is there
    assert (tmp_path / "a" / "b" / "file").read_bytes() == CONTENT
    assert left(tmp_path / "a" / "b") == ["file"]


def test_a_checksum_of_what_is_inside(tmp_path):
    """A mirror may have compressed the same bytes differently."""
    plain = bytes(50_000) + CONTENT[:50_000]
    packed = gzip.compress(plain, 1)
    with Server({"/file": packed}) as server:
        fetch("X", str(tmp_path), [server.address], [remote(plain, unpacked=True)])
    assert (tmp_path / "file").read_bytes() == packed


@pytest.mark.parametrize("break_after", [1, 100_000, 299_999])
def test_what_is_missing_after_a_break_is_fetched_alone(tmp_path, break_after):
    with Server({"/file": CONTENT}, break_after=max(break_after, 100_000)) as server:
        fetch("X", str(tmp_path), [server.address], [remote()])
        starts = [start for _, start in server.requests]
        assert starts == list(range(0, len(CONTENT), max(break_after, 100_000)))
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_can_only_begin_at_the_beginning(tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    with Server({"/file": CONTENT}, ranges=False) as server:
        fetch("X", str(tmp_path), [server.address], [remote()])
        assert server.requests == [("/file", 1000)]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("kept", "starts"),
    [
        (CONTENT[:1000], [1000]),
        (CONTENT, [300_000]),  # complete, but the process ended before the file got its name
        (b"another file", [12, 0]),
        (bytes(len(CONTENT)), [300_000, 0]),
        (CONTENT + b"more", [300_004, 0]),
    ],
)
def test_what_an_earlier_process_left_is_used_if_it_is_good(tmp_path, kept, starts):
    (tmp_path / "file.part").write_bytes(kept)
    with Server({"/file": CONTENT}) as server:
        fetch("X", str(tmp_path), [server.address], [remote()])
        assert [start for _, start in server.requests] == starts
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert left(tmp_path) == ["file"]


def test_mirrors_take_turns(tmp_path):
    with (
        Server({}) as without,
        Server({"/file": CONTENT[::-1]}) as wrong,
        Server({"/file": CONTENT}, break_after=100_000) as broken,
        Server({"/file": CONTENT}, status=503) as busy,
    ):
        fetch("X", str(tmp_path), [s.address for s in (without, wrong, broken, busy)], [remote()])
        assert without.requests == [("/file", 0)]  # what it does not have it will not have later
        assert wrong.requests == [("/file", 0)]
        assert [start for _, start in broken.requests] == [0, 100_000, 200_000]
        assert [start for _, start in busy.requests] == [100_000, 200_000]
    assert (tmp_path / "file").read_bytes() == CONTENT


# --- it does not -----------------------------------------------------------------------------------------------------


def closed_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def failure(folder, mirrors, wanted=None):
    with pytest.raises(ConnectionError) as error:
        fetch("X", str(folder), mirrors, [wanted or remote()])
    assert not (folder / "file").exists()
    return str(error.value)


def test_no_network(tmp_path):
    address = closed_port()
    message = failure(tmp_path, [address, "http://nowhere.invalid/"])
    assert message.startswith(f"X: file cannot be fetched. {address}/file: ")
    assert "Connection refused" in message
    assert "http://nowhere.invalid/file: " in message
    assert message.endswith(f" It belongs into {tmp_path}; TENSORGRAPH_DATA names another folder to look in")


def test_a_file_that_is_not_there(tmp_path):
    with Server({}) as server:
        message = failure(tmp_path, [server.address])
        assert server.requests == [("/file", 0)]
    assert f"{server.address}/file: 404 Not Found" in message
    assert left(tmp_path) == []


def test_a_server_that_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT", 0.05)
    with Server({"/file": CONTENT}, hang=True) as server:
        assert "timed out" in failure(tmp_path, [server.address])
        assert len(server.requests) == 3


def test_a_wrong_file_is_not_kept(tmp_path):
    with Server({"/file": CONTENT[::-1]}) as server:
        message = failure(tmp_path, [server.address])
        assert server.requests == [("/file", 0)]
    assert f"its checksum is {hashlib.sha256(CONTENT[::-1]).hexdigest()}, expected {remote().sha256}" in message
    assert left(tmp_path) == []


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_that_is_too_long_is_not_received(tmp_path, lengths):
    with Server({"/file": CONTENT}, lengths=lengths) as server:
        message = failure(tmp_path, [server.address], remote(most=100_000))
    said = "it has 300,000 bytes, expected at most 100,000" if lengths else "it sends more than 100,000 bytes"
    assert said in message
    assert left(tmp_path) == []


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    with Server({"/file": gzip.compress(bytes(50_000_000))}) as server:
        message = failure(tmp_path, [server.address], Remote("file", 1_000_000, "0" * 64, unpacked=True))
    assert "there is more in it than there can be" in message


def test_a_connection_that_always_breaks_keeps_what_came(tmp_path):
    with Server({"/file": CONTENT}, break_after=10_000) as server:
        message = failure(tmp_path, [server.address])
        assert [start for _, start in server.requests] == [0, 10_000, 20_000]
        server.break_after = None
        assert "the connection ended after 30,000 of 300,000 bytes" in message
        assert message.endswith(f". The 30,000 bytes that came are kept in {tmp_path}/file.part, try again to go on")
        fetch("X", str(tmp_path), [server.address], [remote()])
    assert server.requests[-1] == ("/file", 30_000)
    assert (tmp_path / "file").read_bytes() == CONTENT


class FullDisk(io.FileIO):
    def write(self, _):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_what_came(tmp_path, monkeypatch):
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    with Server({"/file": CONTENT}) as server:
        with monkeypatch.context() as patch:
            patch.setattr(download, "open", lambda path, mode: FullDisk(path, mode), raising=False)
            with pytest.raises(OSError, match=f"X: cannot write to {tmp_path}: No space left on device") as error:
                fetch("X", str(tmp_path), [server.address], [remote()])
        assert error.value.errno == errno.ENOSPC
        fetch("X", str(tmp_path), [server.address], [remote()])
        assert [start for _, start in server.requests] == [1000, 1000]
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(OSError, match=f"^.*X: cannot write to {tmp_path}/data/x: "):
        fetch("X", str(tmp_path / "data" / "x"), ["http://127.0.0.1:1"], [remote()])


def test_a_folder_without_permission(tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "makedirs", forbidden)
    with pytest.raises(PermissionError, match=f"X: cannot write to {tmp_path}: Permission denied"):
        fetch("X", str(tmp_path), [], [remote()])


@pytest.mark.parametrize("address", ["ftp://host/x", "file:///tmp", "host"])
def test_a_mirror_that_is_no_address(tmp_path, monkeypatch, address):
    monkeypatch.setenv("TENSORGRAPH_MIRROR", address)
    with pytest.raises(
        ValueError, match=f"^X: TENSORGRAPH_MIRROR must be an address such as http://host/folder, got '{address}'$"
    ):
        fetch("X", str(tmp_path), [], [remote()])


# --- several processes, and those that end ---------------------------------------------------------------------------

PROGRAM = f"""
import sys
from nn.data.download import Remote, fetch
fetch("X", sys.argv[1], [sys.argv[2]], [Remote("file", {len(CONTENT)}, "{remote().sha256}", False)])
"""


def process(folder, address):
    return subprocess.Popen([sys.executable, "-c", PROGRAM, folder, address], stderr=subprocess.PIPE)


def test_of_several_processes_one_fetches(tmp_path):
    with Server({"/file": CONTENT}, slow=1_000_000) as server:
        processes = [process(tmp_path, server.address) for _ in range(4)]
        for each in processes:
            _, errors = each.communicate(timeout=60)
            assert (each.returncode, errors) == (0, b"")
        assert server.requests == [("/file", 0)]
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert left(tmp_path) == ["file"]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_after_a_process_was_ended_the_next_goes_on(tmp_path, end):
    with Server({"/file": CONTENT}, slow=300_000) as server:
        first = process(tmp_path, server.address)
        part = tmp_path / "file.part"
        limit = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 60_000) and time.monotonic() < limit:
            time.sleep(0.005)
        first.send_signal(end)
        first.communicate(timeout=60)
        assert left(tmp_path) == ["file.part"]
        assert CONTENT.startswith(part.read_bytes())
        fetch("X", str(tmp_path), [server.address], [remote()])
        (_, zero), (_, start) = server.requests
        assert zero == 0
        assert 60_000 < start < len(CONTENT)
    assert (tmp_path / "file").read_bytes() == CONTENT


# --- what is said meanwhile ------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_long_downloads_show_how_far_they_are(tmp_path, monkeypatch):
    from nn.data import progress

    monkeypatch.setattr(progress, "_BEFORE", 0.02)
    for stream, shown in ((io.StringIO(), "file: 0."), (Terminal(), "file: ")):
        monkeypatch.setattr(sys, "stderr", stream)
        folder = tmp_path / type(stream).__name__
        with Server({"/file": CONTENT}, slow=1_000_000) as server:
            fetch("X", str(folder), [server.address], [remote()])
        assert shown in stream.getvalue()
        assert not [thread for thread in threading.enumerate() if "Monitor" in type(thread).__name__]
        assert "%" in stream.getvalue() or " of 0.3 MB\n" in stream.getvalue()


def test_short_downloads_say_nothing(tmp_path, capfd):
    with Server({"/file": CONTENT}) as server:
        fetch("X", str(tmp_path), [server.address], [remote()])
    assert capfd.readouterr() == ("", "")


# --- the data sets ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not FOLDER, reason="TENSORGRAPH_DATA does not name the folder with the data sets")
@pytest.mark.parametrize("below", ["/mnist", ""])
def test_mnist_is_fetched(tmp_path, monkeypatch, below):
    files = {f"{below}/{path.name}": path.read_bytes() for path in Path(FOLDER, "mnist").glob("*.gz")}
    with Server(files) as server:
        monkeypatch.setenv("TENSORGRAPH_MIRROR", f"{server.address}/")
        assert len(MNIST(tmp_path, train=False, download=True)) == 10_000
        assert len(MNIST(tmp_path, download=True)) == 60_000
        before = len(server.requests)
        np.testing.assert_array_equal(MNIST(tmp_path, False, download=True).labels, MNIST(FOLDER, False).labels)
        assert len(server.requests) == before
    assert left(tmp_path) == ["mnist"]
    assert left(tmp_path / "mnist") == sorted(path.rpartition("/")[2] for path in files)


def test_a_data_set_that_cannot_be_fetched(tmp_path, monkeypatch):
    with Server({}) as server:
        monkeypatch.setenv("TENSORGRAPH_MIRROR", server.address)
        with pytest.raises(ConnectionError, match=r"^CIFAR10: cifar-10-binary\.tar\.gz cannot be fetched\. "):
            CIFAR10(tmp_path, download=True)
        assert [path for path, _ in server.requests] == ["/cifar10/cifar-10-binary.tar.gz", "/cifar-10-binary.tar.gz"]
    with pytest.raises(FileNotFoundError):
        nn.data.FashionMNIST(tmp_path)
