"""The coder of Arrow record batches.

Left alone, Beam pickles a batch, and a slice of a batch pickles with its whole parent. Arrow's IPC stream writes just the
slice. The coder is used wherever an output type is declared as `pa.RecordBatch` (or a tuple with one), so every transform
here declares its types; a test walks each pipeline's proto and fails on any pickle coder.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import pyarrow as pa
from apache_beam import coders

#: Bytes up to which a batch is not compressed.
_SMALL: Final = 4096
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
#: Of whole numbers alone, which LZ4 packs hardly at all: references to rows are such, and the local runner keeps several copies.
_OPTIONS_OF_NUMBERS: Final = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)


class _Encoded(threading.local):
    """Bytes that each thread has encoded."""

    bytes = 0


_encoded: Final = _Encoded()


def encoded_bytes() -> int:
    """Return how many bytes this thread has encoded so far: a worker does each bundle in one, and maybe several at a time."""
    return _encoded.bytes


class RecordBatchCoder(coders.Coder):  # type: ignore[misc]
    """Arrow IPC stream of one batch: schema, then the batch's own rows."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        """Return the batch as an IPC stream."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, value.schema, options=_options(value)) as writer:
            writer.write_batch(value)
        encoded: bytes = sink.getvalue().to_pybytes()
        _encoded.bytes += len(encoded)
        return encoded

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """Return the batch of an IPC stream."""
        with pa.ipc.open_stream(encoded) as reader:
            return reader.read_next_batch()

    def is_deterministic(self) -> bool:
        """Equal batches of equal layout have equal bytes."""
        return True

    def to_type_hint(self) -> Any:
        """The type it is for."""
        return pa.RecordBatch

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


def _options(batch: pa.RecordBatch) -> pa.ipc.IpcWriteOptions | None:
    """Return how a batch is packed."""
    if batch.nbytes <= _SMALL:
        return None
    return _OPTIONS_OF_NUMBERS if all(map(pa.types.is_integer, batch.schema.types)) else _OPTIONS


coders.registry.register_coder(pa.RecordBatch, RecordBatchCoder)
