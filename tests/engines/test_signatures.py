"""Beam's look at signatures: the same answers, and each method is read once."""

from __future__ import annotations

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms import core
from apache_beam.transforms.userstate import CombiningValueStateSpec, get_dofn_specs

import pmd.engines.transforms  # noqa: F401  has Beam ask so
from pmd.engines import signatures
from pmd.engines.options import Options

COUNT = CombiningValueStateSpec("count", sum)
COUNTED = beam.DoFn.StateParam(COUNT)


class Stateful(beam.DoFn):
    def process(self, element, one, two=3, count=COUNTED):  # type: ignore[no-untyped-def]
        yield element


def test_a_method_has_the_arguments_that_beam_finds() -> None:
    plain = core.get_function_args_defaults.__wrapped__
    for called in (Stateful().process, Stateful.process, Stateful().setup, len, lambda x, y=2: x, [].append, Stateful):
        for _ in range(2):
            assert core.get_function_args_defaults(called) == plain(called)
    assert get_dofn_specs(Stateful()) == ({COUNT}, set())


def test_what_is_told_may_be_changed() -> None:
    names, defaults = core.get_function_args_defaults(Stateful().process)
    assert (names[0], defaults[0]) == ("element", 3)
    names.clear()
    defaults.clear()
    assert core.get_function_args_defaults(Stateful().process)[0][0] == "element"


def test_beam_is_told_once() -> None:
    asks = core.get_function_args_defaults
    signatures.remember()
    assert core.get_function_args_defaults is asks


def test_a_pipeline_reads_no_signature_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(
        core, "get_signature", lambda called, ask=core.get_signature: read.append(called) or ask(called)
    )

    def signatures_read(steps: int) -> int:
        read.clear()
        pipeline = beam.Pipeline(runner=FnApiRunner(), options=Options([]))
        rows = pipeline | beam.Create([1])
        for number in range(steps):
            rows |= f"{number}" >> beam.ParDo(Stateless())
        pipeline.to_runner_api()
        return len(read)

    signatures_read(1)
    assert signatures_read(12) == signatures_read(2)


class Stateless(beam.DoFn):
    def process(self, element: int) -> list[int]:
        return [element]
