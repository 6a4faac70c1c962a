"""Relocatable ELF objects of little-endian machines: the sizes of their sections, and other names for their symbols.

The format is that of the System V ABI (https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html). Symbols get
other names by a longer string table at the object's end; nothing that is there moves.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MAGIC, _LITTLE_ENDIAN = b"\x7fELF", 1
_SYMTAB, _NOBITS = 2, 8
_WRITE, _ALLOC = 1, 2
_LOCAL, _HIDDEN, _UNDEFINED = 0, 2, 0


class NotAnObject(ValueError):
    """Not a relocatable ELF object that is understood here."""


@dataclass(frozen=True, slots=True)
class _Format:
    """Where the fields of one class of ELF stand, in bytes: in the header, in an entry of its symbol table."""

    section: str
    sections_at: int
    sections_form: str
    count_at: int
    symbol_size: int
    info_at: int


_FORMATS = {
    1: _Format("<IIIIIIIIII", 32, "<I", 46, 16, 12),
    2: _Format("<IIQQQQIIQQ", 40, "<Q", 58, 24, 4),
}
"""By the class that byte 4 of an object states: 32 and 64 bits."""


@dataclass(frozen=True, slots=True)
class _Section:
    place: int
    type: int
    flags: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True, slots=True)
class SectionSizes:
    """Bytes of an object that a program holds: code and constants, variables with initial values, and those without."""

    constant: int
    data: int
    zero: int

    def __add__(self, other: SectionSizes) -> SectionSizes:
        return SectionSizes(self.constant + other.constant, self.data + other.data, self.zero + other.zero)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol that other objects see, defined here or needed from elsewhere."""

    name: str
    is_defined: bool


class ElfObject:
    """A relocatable object, read whole.

    Raises:
        NotAnObject: it is none, or is damaged.
    """

    def __init__(self, data: bytes) -> None:
        if data[:4] != _MAGIC or len(data) < 64 or data[4] not in _FORMATS or data[5] != _LITTLE_ENDIAN:
            raise NotAnObject("it is no little-endian ELF object")
        self._data, self._format = data, _FORMATS[data[4]]
        try:
            self._sections = list(self._read_sections())
            self._symbol_table = next(each for each in self._sections if each.type == _SYMTAB)
            self._globals = list(self._read_globals())
        except (struct.error, StopIteration, IndexError, ValueError, OverflowError):
            raise NotAnObject("its sections cannot be read, or it has no symbols") from None

    def _read_sections(self) -> Iterator[_Section]:
        form = self._format
        (table,) = struct.unpack_from(form.sections_form, self._data, form.sections_at)
        size, count = struct.unpack_from("<HH", self._data, form.count_at)
        for place in range(table, table + count * size, size):
            _, kind, flags, _, offset, length, link, *_ = struct.unpack_from(form.section, self._data, place)
            yield _Section(place, kind, flags, offset, length, link)

    def _read_globals(self) -> Iterator[tuple[int, Symbol]]:
        """The place of the entry of each symbol that is not local."""
        table, form = self._symbol_table, self._format
        strings = self._sections[table.link]
        for place in range(table.offset, table.offset + table.size, form.symbol_size):
            (name,) = struct.unpack_from("<I", self._data, place)
            info, _, section = struct.unpack_from("<BBH", self._data, place + form.info_at)
            if info >> 4 != _LOCAL:
                start = strings.offset + name
                text = self._data[start : self._data.index(b"\0", start)].decode()
                yield place, Symbol(text, section != _UNDEFINED)

    @property
    def sizes(self) -> SectionSizes:
        """What a program that it is linked into holds of it, without relocations and debugging information."""
        kept = [each for each in self._sections if each.flags & _ALLOC]
        constant = sum(each.size for each in kept if not each.flags & _WRITE)
        zero = sum(each.size for each in kept if each.flags & _WRITE and each.type == _NOBITS)
        return SectionSizes(constant, sum(each.size for each in kept) - constant - zero, zero)

    def symbols(self) -> list[Symbol]:
        """The symbols that are not local to it, in their order."""
        return [symbol for _, symbol in self._globals]

    def renamed(self, rename: Callable[[str], str]) -> bytes:
        """The object with other names for its symbols; those it defines are hidden: seen by what is linked with it
        into one program or shared library, and not outside of that.
        """
        data, strings = bytearray(self._data), self._sections[self._symbol_table.link]
        names = bytearray(data[strings.offset : strings.offset + strings.size])
        for place, symbol in self._globals:
            if symbol.is_defined:
                data[place + self._format.info_at + 1] |= _HIDDEN
            if rename(symbol.name) != symbol.name:
                struct.pack_into("<I", data, place, len(names))
                names += rename(symbol.name).encode() + b"\0"
        fields = list(struct.unpack_from(self._format.section, data, strings.place))
        fields[4:6] = len(data), len(names)
        struct.pack_into(self._format.section, data, strings.place, *fields)
        return bytes(data + names)
