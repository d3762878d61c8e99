"""What crosses between steps: every pipeline's proto is walked, and no element may be pickled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam import coders
from apache_beam.runners import pipeline_context

from pmd.beam.coder import RecordBatchCoder
from tests.pipelines import building

PIPELINES = {
    "curate-coco",
    "curate-conceptual_captions",
    "curate-visual_genome",
    "images",
    "fetch",
    "settle",
    "dedupe",
    "shard",
    "publish-coco",
    "publish-conceptual_captions",
    "publish-visual_genome",
    "audit",
}

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
    with building.small(), building.captured() as found:
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


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_no_element_is_pickled(protos: dict[str, Any], name: str) -> None:
    assert pickled(protos[name]) == []
