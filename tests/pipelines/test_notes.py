"""What a person should know of the files is told by the stage that reads them, and by no other."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pipelines import curate, running
from pmd import config
from pmd.store import root


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_annotations_that_an_archive_has_several_times_are_told_by_curate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for _ in range(2):
            file.writestr("captions.json", '{"images": [], "annotations": []}')
    chosen = config.parse(
        f'root = "{tmp_path}/root"\ncontact = "mailto:us@example.org"\n'
        f'[sources.coco]\nannotations = ["{archive}!/captions.json"]\n'
    )
    monkeypatch.setattr(running, "run_and_commit", lambda *_: None)
    with root.writer(chosen.root, "test"):
        curate.build(chosen, ["coco"])
    assert caplog.messages == [
        f"coco: {archive}: names that it has several times, of which the last is read: captions.json (2 times)"
    ]
