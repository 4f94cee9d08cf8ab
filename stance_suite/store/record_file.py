"""A cell's record as bytes: a label that is read alone, and the record, each a member of one gzip file.

``zcat`` prints both: the label is the first line, the record's JSON the second. The label is protected by its CRC, and
every byte that follows by the SHA-256 in it.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from pydantic import ValidationError

from stance_suite.schema.base import Record
from stance_suite.schema.cells import MEASUREMENT_VERSION, Cell, CellRecord, Provenance

FORMAT: Final = 2
"""Raised when these files change their shape."""
LABEL_BYTES = 2**13
"""A label takes less of its file, some 600 bytes."""
LABEL_LENGTH = 2**16
"""Nor is it longer when it is inflated."""
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Of a member without a name and a time; RFC 1952. No CRC covers it, so it is compared."""
GZIP_MEMBER = 31
"""zlib's ``wbits`` for a member of a gzip file."""


class DamagedRecordError(Exception):
    """Bytes that are not what was written."""


class OtherVersionError(DamagedRecordError):
    """A record that is whole, but was written by a version of stance-suite whose records are others."""


class Label(Record):
    """What can be told of a record without reading it."""

    format: Literal[2] = FORMAT
    """Shape of the file."""
    sha256: str
    """SHA-256 of every byte after the label."""
    key: str
    """The record's content address."""
    measurement: int
    """`MEASUREMENT_VERSION` of the program that made it."""
    family: str
    """Hash of what it was measured with."""
    cell: Cell
    """What was done to which model."""
    provenance: Provenance
    """When, how long, where and with which versions it was measured."""


def pack(record: CellRecord) -> bytes:
    """Write a record as the bytes of its file."""
    body = _member(record.model_dump_json().encode(), level=4)
    label = Label(
        sha256=hashlib.sha256(body).hexdigest(),
        key=record.key,
        measurement=MEASUREMENT_VERSION,
        family=record.family,
        cell=record.cell,
        provenance=record.provenance,
    )
    return _member(label.model_dump_json().encode() + b"\n", level=9) + body


def unpack(content: bytes, key: str) -> CellRecord:
    """Read a record; DamagedRecordError if it is not what was written under this key."""
    label, body = _split(content)
    if hashlib.sha256(body).hexdigest() != label.sha256:
        raise DamagedRecordError("its bytes are not those that were written")
    with _telling_damage_from_version():
        record = CellRecord.model_validate_json(gzip.decompress(body))
    if record.key != key:
        raise DamagedRecordError(f"it is the record {record.key}")
    return record


def read_label(start: bytes) -> Label:
    """Read the label of a record from the first `LABEL_BYTES` of its file, or all of it."""
    return _split(start)[0]


def _member(text: bytes, level: int) -> bytes:
    compressed = zlib.compress(text, level, wbits=GZIP_MEMBER)
    # zlib notes the level and the operating system: the same record is the same bytes everywhere
    return GZIP_HEADER + compressed[len(GZIP_HEADER) :]


def _split(content: bytes) -> tuple[Label, bytes]:
    """Part the label from what follows."""
    inflating = zlib.decompressobj(wbits=GZIP_MEMBER)
    with _telling_damage_from_version():
        first = inflating.decompress(content, max_length=LABEL_LENGTH)
        if not first.endswith(b"\n"):  # a record's JSON has no line ends
            raise DamagedRecordError("it is no record")
        if not inflating.eof or not content.startswith(GZIP_HEADER):
            raise DamagedRecordError("its label is not what was written")
        return Label.model_validate_json(first), inflating.unused_data


@contextmanager
def _telling_damage_from_version() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:  # its checksum is right
        raise OtherVersionError(str(error).partition("\n")[0]) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedRecordError(str(error).partition("\n")[0]) from None
