"""Labels by hand: strata and weights, agreement, corrected rates, and that sheets stay private."""

from __future__ import annotations

import codecs
import csv
import errno
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pmd.audit import labelling
from pmd.audit.labelling import NO, NO_TERM, OTHER, UNSURE, YES, Candidate, Row
from pmd.audit.texts.lexicon import Absent
from pmd.errors import ConfigError, InputError, RootError
from pmd.store import root
from tests.audit.batches import WORDS
from tests.store.power_cuts import Recorder


def _candidates() -> list[Candidate]:
    """Of a thousand texts 300 have "man", 100 "woman", 40 of these both, 20 have "she" alone."""
    found = []
    for number in range(1000):
        terms = {
            "man": number < 300,
            "woman": 260 <= number < 360,
            "she": 360 <= number < 380,
        }
        mine = tuple(term for term, has in terms.items() if has)
        lists = frozenset("male" if term == "man" else "female" for term in mine)
        found.append(Candidate(number * 7919 % 1000, f"{number:032x}", "coco", f"text {number}", mine, lists))
    return found


def test_strata_and_weights() -> None:
    rows = labelling.drawn(_candidates(), 120)
    strata = {name: [row for row in rows if row.stratum == name] for name in sorted({row.stratum for row in rows})}
    assert {name: len(some) for name, some in strata.items()} == {"man": 30, NO_TERM: 30, OTHER: 20, "woman": 30}
    # A text with both is in the stratum of the rarer term; weights add up to all texts.
    assert {row.weight for row in strata["woman"]} == {100 / 30}
    assert {row.weight for row in strata["man"]} == {260 / 30}
    assert sum(row.weight for row in rows) == pytest.approx(1000)
    assert rows == labelling.drawn(list(reversed(_candidates())), 120)


def test_where_a_text_stands_does_not_tell_its_stratum() -> None:
    """Of a frequent stratum the least hashes are drawn, so that in their order all of it would stand before the rare ones."""
    rng = random.Random(7)
    found = []
    for number in range(20_000):
        terms = ("aunt",) if number < 60 else ("woman",) if number < 600 else ()
        lists = frozenset({"female"} if terms else ())
        found.append(Candidate(rng.getrandbits(64), f"{rng.getrandbits(128):032x}", "coco", "text", terms, lists))
    rows = labelling.drawn(found, 120)
    places = {
        name: [place for place, row in enumerate(rows) if row.stratum == name] for name in ("aunt", "woman", NO_TERM)
    }
    assert {name: len(some) for name, some in places.items()} == {"aunt": 40, "woman": 40, NO_TERM: 40}
    for some in places.values():
        assert 40 < sum(some) / len(some) < 80, "the middle of 120"


def test_kappa_by_hand() -> None:
    # Both say yes 20 times, both no 15 times; 5 and 10 times they differ: observed .7, expected .5.
    answers = [(YES, YES)] * 20 + [(YES, NO)] * 5 + [(NO, YES)] * 10 + [(NO, NO)] * 15
    assert labelling.kappa(answers) == pytest.approx((0.7 - 0.5) / 0.5)
    assert labelling.kappa([(YES, YES)]) is None
    assert labelling.kappa([]) is None


def _filled(rows: list[Row], *, wrong: int = 0) -> dict[str, dict[str, str]]:
    """Labels of someone for whom every tenth text without a term speaks of a woman, and half of those with "she"."""
    female = {}
    for number, row in enumerate(rows):
        says = {"woman": True, NO_TERM: number % 10 == 0, OTHER: number % 2 == 0}.get(row.stratum, False)
        female[row.pair_id] = YES if says != (number < wrong) else NO
    return {"female": female, "male": {row.pair_id: UNSURE for row in rows[:10]}}


def _rows() -> list[Row]:
    counts = {"woman": 40, NO_TERM: 40, OTHER: 40}
    return [
        Row(f"{stratum}{number}", "coco", "", stratum, "" if stratum == NO_TERM else "female", weight)
        for (stratum, size), weight in zip(counts.items(), (2.0, 20.0, 1.0), strict=True)
        for number in range(size)
    ]


def test_rates_are_corrected_by_strata() -> None:
    rows = _rows()
    found = labelling.agreed(rows, [_filled(rows), _filled(rows)])["female"]
    assert (found["labelled"], found["kappa"]) == (120, 1.0)
    assert {row["term"]: row["precision"] for row in found["precision"]} == {"woman": 1.0, OTHER: 0.5}
    # 80 of 920 with "woman", a tenth of 800 without a term, half of 40.
    assert found["corrected"] == pytest.approx((80 + 80 + 20) / 920)
    assert found["by_lists"] == pytest.approx(120 / 920)
    assert found["low"] < found["corrected"] < found["high"]


def test_with_few_labels_precision_alone() -> None:
    rows = _rows()
    one = _filled(rows)
    one["female"] = dict(list(one["female"].items())[:75])  # 35 of those without a term, and none of the others
    found = labelling.agreed(rows, [one, _filled(rows, wrong=3)])
    assert (found["female"]["corrected"], found["female"]["lacking"]) == (None, {OTHER: 0})
    assert found["female"]["precision"][0]["precision"] == pytest.approx(1 - 1.5 / 40)
    assert found["male"]["kappa"] is None
    said = labelling.told(found)
    assert "no corrected rate: under 30 labels in other terms 0" in said
    assert "woman: 96% of 40 texts with a female term speak of such a person" in said


def test_a_stratum_of_which_all_is_labelled_need_not_be_large() -> None:
    """20 texts are all there are of a stratum: its share is exact, and adds nothing to the interval."""
    rows = [
        Row(f"{stratum}{number}", "coco", "", stratum, "female", weight)
        for stratum, size, weight in (("woman", 40, 2.0), (OTHER, 20, 1.0))
        for number in range(size)
    ]
    labels = {"female": {row.pair_id: YES if row.pair_id[-1] in "01234" else NO for row in rows}, "male": {}}
    found = labelling.agreed(rows, [labels, labels])["female"]
    assert (found["corrected"], found["lacking"]) == (pytest.approx(0.5), {})
    # 80 of 100 texts are in the other stratum, half of it labelled: .8² × (1 − 1/2) × (21/42)² ÷ 39.
    assert found["high"] - found["corrected"] == pytest.approx(1.96 * 0.8 * (0.5 * 0.25 / 39) ** 0.5)
    fewer = {"female": {row.pair_id: YES for row in rows[:-1]}, "male": {}}
    assert labelling.agreed(rows, [fewer, fewer])["female"]["lacking"] == {OTHER: 19}


def test_who_is_unsure_makes_a_text_half() -> None:
    rows = [Row(str(number), "coco", "", "woman", "female", 1.0) for number in range(4)]
    one, other = (
        {"female": {str(number): answer for number, answer in enumerate(answers)}, "male": {}}
        for answers in ((YES, YES, NO, YES), (YES, UNSURE, UNSURE, NO))
    )
    found = labelling.agreed(rows, [one, other])["female"]
    assert found["precision"] == [{"term": "woman", "labelled": 4, "precision": (1 + 0.5 + 0.5 + 0.5) / 4}]


@pytest.fixture
def sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(labelling, "candidates", lambda *_: iter(_candidates()))
    written = labelling.write(str(tmp_path), WORDS, 120)
    assert [path.name for path in written] == ["key.csv", "labeller-1.csv", "labeller-2.csv"]
    return tmp_path / "labels"


def test_sheets_are_private_and_do_not_tell_strata(sheets: Path) -> None:
    assert stat.S_IMODE(sheets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in sheets.iterdir()} == {0o600}
    with (sheets / "labeller-1.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["pair_id", "text", "female", "male"]
    assert len(lines) == 110
    with pytest.raises(ConfigError, match="there are sheets already"):
        labelling.write(str(sheets.parent), WORDS, 120)


def test_sheets_that_find_no_room_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "candidates", lambda *_: iter(_candidates()))
    write_text, written = Path.write_text, list[Path]()

    def full(path: Path, *args: Any, **named: Any) -> int:
        written.append(path)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_text(path, *args, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(RootError, match="the storage is full"):
            labelling.write(str(tmp_path), WORDS, 120)
    assert [*(tmp_path / "labels").iterdir()] == []
    assert len(labelling.write(str(tmp_path), WORDS, 120)) == 3, "the same command goes on where there is room"


def _fill(path: Path, answer: str) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(line | {"female": answer} for line in lines)


def test_filled_sheets_are_read(sheets: Path) -> None:
    for name in labelling.SHEETS:
        _fill(sheets / name, " Yes")
    found = labelling.read(str(sheets.parent))["female"]
    assert (found["labelled"], found["lacking"]) == (110, {})
    _fill(sheets / "labeller-2.csv", "maybe")
    with pytest.raises(InputError, match="an answer that is none") as caught:
        labelling.read(str(sheets.parent))
    assert caught.value.expected == "yes, no, unsure, or nothing"


def test_no_power_cut_takes_what_people_have_filled_in(sheets: Path) -> None:
    _fill(sheets / labelling.SHEETS[0], "yes")
    before = {path.name: path.read_bytes() for path in sheets.iterdir()}
    gone = sorted(labelling.listed(str(sheets.parent)))[:1]
    recorder = Recorder(sheets)
    with recorder.recording():
        labelling.leave_out(str(sheets.parent), gone)
    after = {path.name: path.read_bytes() for path in sheets.iterdir()}
    assert len(recorder.moments) > 6
    assert all(before[name] != after[name] for name in before)
    for moment in recorder.moments:
        for what, names in moment.views():
            found = {name: moment.content.get(inner) for name, inner in names[moment.top].items()}
            for name, filled in before.items():
                assert found.get(name) in {filled, after[name]}, f"{moment.step}: {what}"
    assert moment.kept[moment.top].keys() == after.keys()


def test_sheets_are_opened_and_saved_by_spreadsheets(sheets: Path) -> None:
    """Excel takes a CSV without a mark for Windows' encoding, and saves one in that, with what the country puts between cells."""
    for name, saved_as, between in zip(labelling.SHEETS, ("cp1252", "utf-8-sig"), (";", "\t"), strict=True):
        path = sheets / name
        assert path.read_bytes().startswith(codecs.BOM_UTF8)
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.DictReader(file))
        with path.open("w", encoding=saved_as, newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]), delimiter=between)
            writer.writeheader()
            writer.writerows(line | {"text": "a café; “outside”, once", "female": "yes"} for line in lines)
    assert labelling.read(str(sheets.parent))["female"]["labelled"] == 110
    gone = sorted(labelling.listed(str(sheets.parent)))[:1]
    labelling.leave_out(str(sheets.parent), gone)
    assert "a café; “outside”, once" in (sheets / labelling.SHEETS[0]).read_text(encoding="utf-8-sig")
    assert len(labelling.listed(str(sheets.parent))) == 109
    (sheets / labelling.SHEETS[0]).write_text("pair_id,text,female,male\n", encoding="utf-16")
    with pytest.raises(InputError, match="the text is in UTF-16"):
        labelling.read(str(sheets.parent))


def _changed(path: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(change(lines))


def test_sheets_that_people_have_changed_around_the_answers(sheets: Path) -> None:
    """Rows put in another order, blank ones at the end, columns moved, capitals, a caption larger than `csv` takes by itself."""
    for name in labelling.SHEETS:
        _fill(sheets / name, "yes")
        _changed(sheets / name, lambda lines: [lines[0], *reversed(lines[1:]), ["", " ", "", ""]])
    _changed(sheets / labelling.SHEETS[0], lambda lines: [[line[at] for at in (2, 1, 3, 0)] for line in lines])
    _changed(sheets / labelling.SHEETS[0], lambda lines: [["Female ", "Text", "MALE", " Pair_ID", "note"], *lines[1:]])
    _changed(
        sheets / labelling.SHEETS[1],
        lambda lines: [lines[0], *([one[0].upper() + " ", "x" * 200_000, *one[2:]] for one in lines[1:-1])],
    )
    _changed(sheets / labelling.KEY, lambda lines: [[cell.replace(".", ",") for cell in line] for line in lines])
    assert labelling.read(str(sheets.parent))["female"]["labelled"] == 110
    before = labelling.listed(str(sheets.parent))
    assert len(before) == 110
    labelling.leave_out(str(sheets.parent), sorted(before)[:1])
    assert labelling.listed(str(sheets.parent)) == {*sorted(before)[1:]}


def test_sheets_that_do_not_say_one_thing_are_refused(sheets: Path) -> None:
    sheet, key = sheets / labelling.SHEETS[0], sheets / labelling.KEY
    held = {path: path.read_bytes() for path in (sheet, key)}
    _changed(sheet, lambda lines: [*lines, [*lines[1][:2], "no", ""]])
    with pytest.raises(InputError, match="stands in the sheet twice") as caught:
        labelling.read(str(sheets.parent))
    assert caught.value.where == f"{sheet}:112"
    sheet.write_bytes(held[sheet])
    changes: list[Callable[[list[list[str]]], list[list[str]]]] = [
        lambda lines: [lines[0], [*lines[1][:-1], "12. Mai"], *lines[2:]],  # what a spreadsheet makes of 12.5
        lambda lines: [lines[0], [*lines[1][:-1], "nan"], *lines[2:]],
        lambda lines: [*lines, lines[1]],
        lambda lines: [line[:-1] for line in lines],
    ]
    for change in changes:
        _changed(key, change)
        with pytest.raises(InputError, match="the key is not as it was written"):
            labelling.read(str(sheets.parent))
        key.write_bytes(held[key])


def test_of_a_sheet_that_lacks_a_column_the_columns_are_told(sheets: Path) -> None:
    sheet = sheets / labelling.SHEETS[0]
    _changed(sheet, lambda lines: [line[:-1] for line in lines])
    with pytest.raises(InputError, match="a sheet without its columns") as caught:
        labelling.read(str(sheets.parent))
    assert caught.value.found == "'pair_id', 'text', 'female'"
    assert caught.value.where == f"{sheet}:1"


def test_what_is_taken_down_leaves_copies_of_sheets_too(sheets: Path) -> None:
    """Somebody has copied a sheet, and summed it up below: that line names no pair, and is no reason to stop."""
    copy = sheets / "labeller-1 (Anna).CSV"
    copy.write_bytes((sheets / labelling.SHEETS[0]).read_bytes())
    _changed(copy, lambda lines: [*lines, ["110 texts", "", "50", "60"]])
    gone = sorted(labelling.listed(str(sheets.parent)))[:1]
    labelling.leave_out(str(sheets.parent), gone)
    assert gone[0] not in copy.read_text(encoding="utf-8-sig")
    assert "110 texts" in copy.read_text(encoding="utf-8-sig")
    assert all(len(pair_id) == 32 for pair_id in labelling.listed(str(sheets.parent)))


def test_what_cannot_be_labelled(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="no ROOT here"):
        labelling.read(str(tmp_path))
    root.create(str(tmp_path), 0)
    with pytest.raises(InputError, match="no such sheet"):
        labelling.read(str(tmp_path))
    with pytest.raises(ConfigError, match="labels stay on this machine"):
        labelling.write("s3://bucket/root", WORDS, 120)
    with pytest.raises(ConfigError, match="too few texts"):
        labelling.write(str(tmp_path), WORDS, 59)
    with pytest.raises(RootError, match="no source is curated here"):
        labelling.write(str(tmp_path), WORDS, 120)
    with pytest.raises(ConfigError, match="no lists to be labelled"):
        labelling.write(str(tmp_path), Absent("the package genbit is not installed"), 120)


def test_without_an_english_text_there_are_no_sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "candidates", lambda *_: iter([]))
    with pytest.raises(InputError, match="no English text to label"):
        labelling.write(str(tmp_path), WORDS, 120)
    assert not (tmp_path / "labels").exists()


def test_no_text_is_a_formula_in_a_spreadsheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Candidate(0, "00" * 16, "coco", '=HYPERLINK("x")', (), frozenset())
    monkeypatch.setattr(labelling, "candidates", lambda *_: iter([one]))
    labelling.write(str(tmp_path), WORDS, 60)
    with (tmp_path / "labels/labeller-1.csv").open(encoding="utf-8-sig", newline="") as file:
        assert next(csv.DictReader(file))["text"] == '\'=HYPERLINK("x")'
