"""What crosses between steps: every pipeline's proto is walked, and no element may be pickled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam import coders
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import pipeline_context
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pmd import flow
from pmd.engines.coder import RecordBatchCoder
from pmd.engines.transforms import create
from pmd.store import exchange
from tests.pipelines import building

#: One of each stage, and those that fetch and dedupe have beside theirs.
PIPELINES = {*flow.NAMES, "against", "rejected", "hashes"}

#: What may carry elements, and what these are made of.
ALLOWED = (
    RecordBatchCoder,
    coders.BytesCoder,
    coders.VarIntCoder,
    coders.TupleCoder,
    coders.IterableCoder,
    coders.WindowedValueCoder,
)


@pytest.fixture(scope="module")
def protos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every pipeline of a whole build, by the name of its work folder."""
    chosen = building.world(tmp_path_factory.mktemp("coders"))
    with building.small(hashed=False), building.captured() as found:
        building.run(chosen)
    return found


def leaves(coder: Any) -> Iterator[Any]:
    yield coder
    for part in coder._get_component_coders():
        yield from leaves(part)


def pickled(proto: Any) -> list[str]:
    """Return the collections of a pipeline that hold elements which some coder pickles."""
    context = pipeline_context.PipelineContext(proto.components)
    found = []
    for collection in proto.components.pcollections.values():
        coder = context.coders.get_by_id(collection.coder_id)
        bad = [part for part in leaves(coder) if not isinstance(part, ALLOWED)]
        if bad:
            found.append(f"{collection.unique_name}: {coder!r}")
    return found


def test_every_pipeline_was_walked(protos: dict[str, Any]) -> None:
    assert set(protos) == PIPELINES


def test_a_pickled_element_would_be_found() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([]))
    batch = pa.RecordBatch.from_pylist([{"x": 1}])
    typed = pipeline | create([batch])
    typed | "Undeclared" >> beam.Map(lambda item: item).with_output_types(Any)
    typed | "Half declared" >> beam.Map(lambda item: (0, item)).with_output_types(tuple[int, Any])
    found = pickled(pipeline.to_runner_api())
    assert len(found) == 2
    for name in ("Undeclared", "Half declared"):
        assert any(name in line for line in found), name


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_no_element_is_pickled(protos: dict[str, Any], name: str) -> None:
    assert pickled(protos[name]) == []
    assert "RecordBatchCoder" in repr(list(_coders(protos[name])))


def _coders(proto: Any) -> Iterator[Any]:
    context = pipeline_context.PipelineContext(proto.components)
    for collection in proto.components.pcollections.values():
        yield from leaves(context.coders.get_by_id(collection.coder_id))


def test_a_slice_is_carried_without_its_parent() -> None:
    whole = pa.RecordBatch.from_pydict({"x": list(range(100_000)), "y": ["text"] * 100_000})
    some = whole.slice(50_000, 10)
    encoded = RecordBatchCoder().encode(some)
    assert len(encoded) < 2000
    assert RecordBatchCoder().decode(encoded).equals(some)


def test_references_to_rows_take_a_third_of_their_bytes() -> None:
    """A runner keeps several copies of them, and there are as many as buffers times partitions."""
    lengths = np.random.default_rng(0).integers(8_000, 18_000, 3 * 1024)
    columns = [np.tile(np.arange(1024), 3), np.full(len(lengths), 2**62 + 12345), np.cumsum(lengths), lengths]
    arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, exchange.RUNS, strict=True)]
    runs = pa.RecordBatch.from_arrays(arrays, schema=exchange.RUNS)
    encoded = RecordBatchCoder().encode(runs)
    assert 3 * len(encoded) < runs.nbytes == 28 * len(lengths)
    assert RecordBatchCoder().decode(encoded).equals(runs)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_batch_comes_back_as_it_was(rows: int) -> None:
    batch = pa.RecordBatch.from_pylist(
        [{"key": bytes(16), "text": None if row else "é", "list": [row]} for row in range(rows)],
        schema=pa.schema([("key", pa.binary(16)), ("text", pa.string()), ("list", pa.list_(pa.int32()))]),
    )
    back = RecordBatchCoder().decode(RecordBatchCoder().encode(batch))
    assert back.equals(batch)
    assert back.schema == batch.schema
    assert RecordBatchCoder().is_deterministic()
    assert coders.registry.get_coder(pa.RecordBatch) == RecordBatchCoder()
