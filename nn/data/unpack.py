"""Reading files that may lie: no more memory than was asked for, no more time than the file is long.

Source: RFC 1952 (gzip).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from nn.serialization import FileFormatError

Array = np.ndarray[Any, np.dtype[Any]]
_PIECE = 1 << 18  # bytes read at once
_MOST_PACKED = 1032  # to one, what deflate can do


class Content:
    """What is in a file, unpacked if it is a gzip file. Errors name the file.

    Arguments:
        most: the bytes that there can be at most, unpacked. A file longer than that is refused at once.

    Attributes:
        size: of the file, in bytes.
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        self._path = os.fspath(file.name)
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        self._unpacker = zlib.decompressobj(wbits=31) if packed else None  # 31: gzip, with its checksum
        self.size = os.fstat(file.fileno()).st_size
        if self.size > most + most // 1000 + 10_000:  # what gzip adds to bytes that it cannot compress
            raise self.error(f"it has {self.size:,} bytes, more than such a file can have")

    def error(self, fault: str) -> FileFormatError:
        return FileFormatError(f"{self._path}: {fault}")

    def expect(self, size: int) -> None:
        """Refuse at once a file that cannot have so many bytes in it, before memory is taken for them."""
        if self._unpacker is None and self.size != size:
            raise self.error(f"it has {self.size:,} bytes, but its header says {size:,}")
        if self.size * _MOST_PACKED < size:
            raise self.error(f"{self.size:,} bytes are too few for the {size:,} of which its header speaks")

    def read(self, n: int) -> bytes:
        """Exactly n bytes, of which there are few."""
        return b"".join(self._pieces(n))

    def fill(self, array: Array) -> None:
        """Read a contiguous uint8 array full."""
        flat, start = array.reshape(-1), 0
        for piece in self._pieces(flat.size):
            flat[start : start + len(piece)] = np.frombuffer(piece, np.uint8)
            start += len(piece)

    def skip(self, n: int) -> None:
        for _ in self._pieces(n):
            pass

    def rest(self, most: int) -> Iterator[bytes]:
        """All that is left, in pieces, which must not be more than that."""
        while piece := self._some(_PIECE):
            most -= len(piece)
            if most < 0:
                raise self.error("there is more in it than there can be")
            yield piece
        self.finish()

    def finish(self) -> None:
        """The file must end here."""
        if self._some(1):
            raise self.error("there is more in it than its header says")
        if self._unpacker is not None and (self._unpacker.unused_data or self._file.read(1)):
            raise self.error("something follows after the compressed data")

    def _pieces(self, n: int) -> Iterator[bytes]:
        while n:
            piece = self._some(min(n, _PIECE))
            if not piece:
                raise self.error("it is cut short")
            n -= len(piece)
            yield piece

    def _some(self, n: int) -> bytes:
        """Between 1 and n bytes, none at the end."""
        if self._unpacker is None:
            return self._file.read(n)
        while not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._file.read(_PIECE)
            try:
                piece = self._unpacker.decompress(packed, n)
            except zlib.error as error:
                raise self.error(f"the compressed data are damaged ({error})") from None
            if piece:
                return piece
            if not packed:
                raise self.error("it is cut short")
        return b""
