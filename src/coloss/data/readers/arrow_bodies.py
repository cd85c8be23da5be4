"""What the batches of an Arrow stream unpack to, before they are unpacked.

A compressed buffer begins with the bytes that it has when it is unpacked; where the
buffers are stands in the message's metadata, a FlatBuffer (Arrow's `Message.fbs`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

DICTIONARY, BATCH = 2, 3
"""Kinds of a message, as its metadata calls them."""
_HEADER_KIND, _HEADER = 1, 2
_DICTIONARY_DATA = 1
_BUFFERS, _COMPRESSION = 2, 3


def unpacked_bytes(data: pa.Buffer) -> int:
    """Return how many bytes the buffers of all batches have when they are unpacked.

    Args:
        data: an Arrow stream.

    Raises:
        ValueError: if its metadata is not readable.
    """
    import pyarrow as pa

    found = 0
    for message in pa.ipc.MessageReader.open_stream(data):
        try:
            found += _of_message(message.metadata.to_pybytes(), message.body)
        except struct.error as error:
            raise ValueError(f"the metadata of a batch is damaged: {error}") from None
    return found


def _of_message(metadata: bytes, body: pa.Buffer | None) -> int:
    root = _follow(metadata, 0)
    kind = _field(metadata, root, _HEADER_KIND)
    header = _field(metadata, root, _HEADER)
    if kind is None or header is None or body is None:
        return 0
    batch = _follow(metadata, header)
    number = metadata[kind]
    if number == DICTIONARY:
        place = _field(metadata, batch, _DICTIONARY_DATA)
        if place is None:
            return 0
        batch = _follow(metadata, place)
    elif number != BATCH:
        return 0
    place = _field(metadata, batch, _BUFFERS)
    if place is None or _field(metadata, batch, _COMPRESSION) is None:
        return 0  # Not compressed: no more than the file has.
    start = _follow(metadata, place)
    (count,) = struct.unpack_from("<I", metadata, start)
    found = 0
    for number in range(count):
        offset, length = struct.unpack_from("<qq", metadata, start + 4 + 16 * number)
        if length >= 8 and 0 <= offset <= body.size - 8:
            (size,) = struct.unpack("<q", body.slice(offset, 8).to_pybytes())
            found += max(size, 0)  # -1: this one is not compressed.
    return found


def _follow(metadata: bytes, place: int) -> int:
    """Return where a place points to."""
    return place + int(struct.unpack_from("<I", metadata, place)[0])


def _field(metadata: bytes, table: int, number: int) -> int | None:
    """Return where a field of a table is; None where it is left out."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    if fields < 0:
        raise struct.error("a table before the start")
    (length,) = struct.unpack_from("<H", metadata, fields)
    at = 4 + 2 * number
    if at >= length:
        return None
    (offset,) = struct.unpack_from("<H", metadata, fields + at)
    return table + offset if offset else None
