"""Zip archives that may lie: the table of contents is checked before anything is read, and files cannot overlap.

Source: PKWARE, .ZIP File Format Specification (APPNOTE.TXT), sections 4.3 and 4.5.3.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from nn.serialization import DamageError

_MAGIC = b"PK\x03\x04"
_MOST_FILES = 5_000
_MOST_PACKED = 1032  # to one, what deflate can do
_PIECE = 1 << 18  # bytes read at once
_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_FULL = 0xFFFFFFFF  # the number stands in an extra field, with 8 bytes
_STORED, _DEFLATED = 0, 8


class Member(NamedTuple):
    """A file in an archive."""

    name: str
    packed: bool  # by deflate
    checksum: int
    packed_size: int
    size: int
    start: int  # of its local header
    end: int  # the start of what follows


class Archive:
    """The files in a zip archive.

    `members` has them by name. Nothing but the table of contents has been read; the files in it are no larger than they
    can be, do not overlap, and each name is there once.

    Raises:
        DamageError: it is no such archive.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        count, length, start = self._table()
        if count > _MOST_FILES:
            raise DamageError(f"a zip archive of {count:,} files, more than the {_MOST_FILES:,} that are read")
        file.seek(start)
        table, place, found = file.read(length), 0, []
        for _ in range(count):
            member, place = _entry(table, place)
            found.append(member)
        if place != length:
            raise DamageError("the table of contents of the zip archive is damaged")
        found.sort(key=lambda member: member.start)
        self.members: dict[str, Member] = {}
        ends = [member.start for member in found[1:]] + [start]
        for member, end in zip(found, ends):
            if member.name in self.members:
                raise DamageError(f"the zip archive has {member.name!r} twice")
            if member.start + _LOCAL.size + member.packed_size > end:
                raise DamageError(f"in the zip archive, {member.name!r} runs into what follows")
            self.members[member.name] = member._replace(end=end)

    def _table(self) -> tuple[int, int, int]:
        """The table of contents: number of entries, length and first byte."""
        size = os.fstat(self._file.fileno()).st_size
        place = size - _END.size
        signature, disk, first, here, count, length, start, comment = _END.unpack(self._tail(place, _END.size))
        if signature != b"PK\x05\x06" or comment:
            raise DamageError("a zip archive without its end: it is cut short")
        if _FULL in (length, start) or count == 0xFFFF or self._tail(place - _LOCATOR.size, 4) == b"PK\x06\x07":
            _, _, where, _ = _LOCATOR.unpack(self._tail(place - _LOCATOR.size, _LOCATOR.size))
            place = min(where, size)
            signature, _, _, _, disk, first, here, count, length, start = _END_64.unpack(
                self._tail(place, _END_64.size)
            )
            if signature != b"PK\x06\x06":
                raise DamageError("the end of the zip archive is damaged")
        if disk or first or here != count or start + length > place or length < count * _ENTRY.size:
            raise DamageError("the end of the zip archive is damaged")
        if length > count * (_ENTRY.size + 2000):
            raise DamageError(f"a zip archive of {count:,} files with a table of contents of {length:,} bytes")
        return count, length, start

    def _tail(self, place: int, length: int) -> bytes:
        self._file.seek(max(place, 0))
        found = self._file.read(length) if place >= 0 else b""
        if len(found) != length:
            raise DamageError("a zip archive without its end: it is cut short")
        return found

    def read(self, name: str, most: int) -> bytes:
        """A file that is not large."""
        if self.members[name].size > most:
            raise DamageError(f"{name!r} has {self.members[name].size:,} bytes, more than the {most:,} that are read")
        return b"".join(self.pieces(name))

    def pieces(self, name: str, most: int = _PIECE) -> Iterator[bytes]:
        """The bytes of a file, unpacked, in pieces of up to `most`; the last one comes if the checksum is right."""
        member = self.members[name]
        start = self._first_byte(member)
        unpacker = zlib.decompressobj(wbits=-15) if member.packed else None  # no header of its own
        checksum = done = taken = 0
        pending = b""
        while done < member.size:
            if not pending:
                self._file.seek(start + taken)
                pending = self._file.read(min(most, member.packed_size - taken))
                taken += len(pending)
            if unpacker is None:
                piece, pending, over = pending, b"", not pending
            else:
                packed = pending
                try:
                    piece = unpacker.decompress(packed, min(most, member.size - done))
                except zlib.error as error:
                    raise DamageError(f"{name!r} is damaged ({error})") from None
                pending, over = unpacker.unconsumed_tail, not (piece or packed) or unpacker.eof
            done += len(piece)
            checksum = zlib.crc32(piece, checksum)
            if done < member.size and over:
                raise DamageError(f"{name!r} is cut short")
            if done == member.size and checksum != member.checksum:
                raise DamageError(f"{name!r} is damaged: its checksum is wrong")
            if piece:
                yield piece

    def _first_byte(self, member: Member) -> int:
        """Where its bytes begin, behind the local header, which has a length of its own."""
        expected = member.name.encode()
        header = self._tail(member.start, _LOCAL.size + len(expected))
        signature, *_, length, extra = _LOCAL.unpack_from(header)
        start = member.start + _LOCAL.size + length + extra
        if signature != _MAGIC or length != len(expected) or not header.endswith(expected):
            raise DamageError(f"the zip archive has something else in the place of {member.name!r}")
        if start + member.packed_size > member.end:
            raise DamageError(f"in the zip archive, {member.name!r} runs into what follows")
        return start


def _entry(table: bytes, place: int) -> tuple[Member, int]:
    """The entry of the table of contents at this place, without its end, and the place behind it."""
    if place + _ENTRY.size > len(table):
        raise DamageError("the table of contents of the zip archive is cut short")
    fields = _ENTRY.unpack_from(table, place)
    signature, flags, method, checksum, packed_size, size = (fields[i] for i in (0, 3, 4, 7, 8, 9))
    name_length, extra_length, comment_length, start = *fields[10:13], fields[16]
    place += _ENTRY.size
    raw, extra = table[place : place + name_length], table[place + name_length : place + name_length + extra_length]
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise DamageError("the zip archive has a name that is not UTF-8") from None
    if signature != b"PK\x01\x02":
        raise DamageError("the table of contents of the zip archive is damaged")
    if flags & 1:
        raise DamageError(f"{name!r} is encrypted")
    if method not in (_STORED, _DEFLATED):
        raise DamageError(f"{name!r} is compressed by method {method}; only deflate (8) can be read")
    if _FULL in (packed_size, size, start):
        size, packed_size, start = _wide(extra, size, packed_size, start)
    most = packed_size * _MOST_PACKED if method == _DEFLATED else packed_size
    if size > most or (method == _STORED and size != packed_size):
        raise DamageError(f"{name!r} cannot have {size:,} bytes, from {packed_size:,} in the zip archive")
    member = Member(name, method == _DEFLATED, checksum, packed_size, size, start, end=0)
    return member, place + name_length + extra_length + comment_length


def _wide(extra: bytes, *numbers: int) -> list[int]:
    """The numbers with those that are full replaced by the ones of 8 bytes in the extra field."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{min(length, len(extra) - place - 4) // 8}Q", extra, place + 4))
            return [next(wide, _FULL) if number == _FULL else number for number in numbers]
        place += 4 + length
    return list(numbers)
