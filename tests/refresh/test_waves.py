"""Answers of a wave that has not come to its end: kept one by one in a folder, some together in a bucket."""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path

import pytest

from pmd.refresh import waves
from pmd.refresh.waves import Answer
from pmd.store import storage

_WHEN = datetime.datetime(2026, 2, 1, 12, tzinfo=datetime.UTC)
ANSWERS = {bytes([*bytes(14), number // 256, number % 256]): Answer("ok", "ab" * 32, _WHEN) for number in range(130)}


@pytest.fixture
def bucket() -> str:
    return f"memory://{uuid.uuid4().hex}/refresh/wave=2026-02-01"


def keep(folder: str, answers: dict[bytes, Answer]) -> None:
    with waves.Keeping(folder) as keeping:
        for image_id, answer in answers.items():
            keeping.add(image_id, answer)


def test_a_folder_has_a_file_for_each_answer(tmp_path: Path) -> None:
    with waves.Keeping(str(tmp_path)) as keeping:
        for count, (image_id, answer) in enumerate(ANSWERS.items(), 1):
            keeping.add(image_id, answer)
            assert len(waves.answers(str(tmp_path))) == count == len(storage.list_names(str(tmp_path)))


def test_a_bucket_takes_a_request_for_many_answers(bucket: str) -> None:
    keep(bucket, ANSWERS)
    assert len(storage.list_names(bucket)) == 3
    assert waves.answers(bucket) == ANSWERS


def test_answers_do_not_wait_long_for_others(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "_WAIT_S", 0.0)
    keep(bucket, ANSWERS)
    assert len(storage.list_names(bucket)) == len(ANSWERS)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_waits_is_written_where_asking_breaks_off(bucket: str, error: type[BaseException]) -> None:
    first = dict([*ANSWERS.items()][:10])
    keeping = waves.Keeping(bucket)
    for image_id, answer in first.items():
        keeping.add(image_id, answer)
    assert waves.answers(bucket) == {}
    with pytest.raises(error), keeping:
        raise error
    assert waves.answers(bucket) == first
    keep(bucket, {key: answer for key, answer in ANSWERS.items() if key not in first})
    assert waves.answers(bucket) == ANSWERS


def test_what_was_cut_off_in_writing_or_is_of_another_form_is_no_answer(tmp_path: Path) -> None:
    keep(str(tmp_path), ANSWERS)
    names = sorted(tmp_path.iterdir())
    names[0].write_bytes(names[0].read_bytes()[:20])
    names[1].write_text('{"status": "ok", "sha256": null, "when": "2026-02-01T12:00:00+00:00"}')
    assert waves.answers(str(tmp_path)) == dict([*ANSWERS.items()][2:])
