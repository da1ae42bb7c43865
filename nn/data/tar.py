"""Files in a tar archive, read one after the other; nothing is written, and no name of the archive becomes a path.

Source: POSIX.1-1988, ustar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nn.data.unpack import Content

Array = np.ndarray[Any, np.dtype[Any]]
_BLOCK = 512
_OTHERS = 1 << 20  # bytes that may be skipped, all together
_FILE, _OLD_FILE, _FOLDER, _COMMENT, _COMMENT_FOR_ALL = b"0", b"\0", b"5", b"x", b"g"


def read_tar(content: Content, place: Callable[[str, int], Array | None]) -> None:
    """Read the files of an archive to where they belong.

    Arguments:
        place: given the name and size of a file, the uint8 array to fill with it, or None for a file that is not
            wanted.

    Raises:
        FileFormatError: it is no tar archive, cut short, or has something else than files and folders in it.
    """
    skipped = 0
    while (header := content.read(_BLOCK)) != bytes(_BLOCK):
        name, size, kind = _header(content, header)
        padding = -size % _BLOCK
        array = place(name, size) if kind in (_FILE, _OLD_FILE) else None
        if array is None:
            skipped += size + _BLOCK
            if skipped > _OTHERS:
                raise content.error(f"{name!r} and others are not part of the data set, and large")
            content.skip(size)
        else:
            content.fill(array)
        content.skip(padding)
    for piece in content.rest(_OTHERS):
        if piece.strip(b"\0"):
            raise content.error("something follows after the archive")


def _header(content: Content, header: bytes) -> tuple[str, int, bytes]:
    """Name, size and kind of the next member."""
    blank = header[:148] + b" " * 8 + header[156:]
    try:
        if int(header[148:156].strip(b" \0"), 8) != sum(blank):
            raise ValueError
        size = int(header[124:136].strip(b" \0") or b"0", 8)
        if size < 0:
            raise ValueError
        name = header[:100].rstrip(b"\0").decode("ascii")
    except ValueError:
        raise content.error("it is no tar archive, or a damaged one") from None
    kind = header[156:157]
    if kind not in (_FILE, _OLD_FILE, _FOLDER, _COMMENT, _COMMENT_FOR_ALL):
        raise content.error(f"{name!r} in it is neither a file nor a folder")
    if name.startswith("/") or ".." in name.split("/"):
        raise content.error(f"{name!r} in it leads out of the folder")
    return name, size, kind
