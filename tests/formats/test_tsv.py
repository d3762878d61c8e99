"""Tab-separated text: by columns without quoting, row by row with it."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmd.errors import InputError
from pmd.formats import tsv
from pmd.formats.lines import INVALID_UTF8, read_lines
from pmd.formats.tsv import MAX_ROW_BYTES, CsvRow, open_quote, read_csv, split_columns


def lines_of(rows: list[bytes]) -> pa.LargeBinaryArray:
    return pa.array(rows, pa.large_binary())


def test_lines_are_cut_into_columns() -> None:
    split = split_columns(
        lines_of([b"a\tb", b"", b'"x\ty"', b"one", b"\t", b"a\tb\tc", b"\xff\tz", "é\t\0".encode()]), columns=[2]
    )
    assert split.fields.tolist() == [2, 1, 2, 1, 2, 3, 2, 2]
    assert split.valid_count.tolist() == [True, False, True, False, True, False, True, True]
    assert split.invalid_utf8.tolist() == [False] * 6 + [True, False]
    assert split.good.tolist() == [0, 2, 4, 7]
    assert split.bad.tolist() == [1, 3, 5, 6]
    assert [column.to_pylist() for column in split.columns] == [["a", '"x', "", "é"], ["b", 'y"', "", "\0"]]
    assert all(column.type == pa.large_string() for column in split.columns)


def test_short_lines_have_nulls_where_two_widths_are_good() -> None:
    split = split_columns(lines_of([b"a\tb", b"1\t2\t3", b"x"]), columns=[2, 3])
    assert split.good.tolist() == [0, 1]
    assert [column.to_pylist() for column in split.columns] == [["a", "1"], ["b", "2"], [None, "3"]]
    assert split.column(9).to_pylist() == [None, None]


@pytest.mark.parametrize("rows", [[], [b""], [b"bad"], [b"\xff"]])
def test_no_good_lines(rows: list[bytes]) -> None:
    split = split_columns(lines_of(rows), columns=[2])
    assert len(split.good) == 0
    assert len(split.bad) == len(rows)
    assert split.columns == []
    assert split.column(0).to_pylist() == []


def test_characters_are_not_joined_over_lines() -> None:
    split = split_columns(lines_of([b"\xc3", b"\xa9"]), columns=[1])
    assert split.invalid_utf8.tolist() == [True, True]


def test_slices_are_read_as_slices() -> None:
    lines = lines_of([b"\xff", b"a\tb", b"c\td", b"e"])
    split = split_columns(lines.slice(1, 2), columns=[2])
    assert [column.to_pylist() for column in split.columns] == [["a", "c"], ["b", "d"]]


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.sampled_from([b"", b"a", b'"', b"\\", b"\x00", "日本".encode()]), min_size=3, max_size=3)
    ),
    data=st.data(),
)
def test_lines_have_words_in_place_of_their_separators(rows: list[list[bytes]], data: st.DataObject) -> None:
    split = split_columns(lines_of([b"1\t2", *(b"\t".join(row) for row in rows)]), columns=[2, 3])
    chosen = [number for number in range(len(rows)) if data.draw(st.booleans())]
    which = [data.draw(st.integers(0, 1)) for _ in chosen]
    lines = np.array(chosen, np.int64) + 1
    found = split.joined([b"<", b"", b"--"], [b">", b"!"], np.array(which, np.int64), lines)
    assert found.to_pylist() == [
        (b"<%b%b--%b" % tuple(rows[number])).decode() + ">!"[end] for number, end in zip(chosen, which, strict=True)
    ]
    assert split.quoted(lines).tolist() == [
        any(mark in b"".join(rows[number]) for mark in (b'"', b"\\", b"\x00")) for number in chosen
    ]


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.sampled_from([b"", b"a", b"\xff", b'"', "日本".encode(), b"\xe2\x80"]), min_size=1, max_size=5),
        max_size=30,
    )
)
def test_columns_are_those_of_a_slow_split(rows: list[list[bytes]]) -> None:
    split = split_columns(lines_of([b"\t".join(row) for row in rows]), columns=[2, 4])

    def decodes(row: list[bytes]) -> bool:
        try:
            b"\t".join(row).decode()
        except UnicodeDecodeError:
            return False
        return True

    good = [index for index, row in enumerate(rows) if len(row) in (2, 4) and decodes(row)]
    assert split.good.tolist() == good
    assert sorted([*split.good, *split.bad]) == list(range(len(rows)))
    for column in range(4):
        wanted = [rows[i][column].decode() if column < len(rows[i]) else None for i in good]
        assert split.column(column).to_pylist() == wanted


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.sampled_from([b"", b"a", b"\xff", "日本".encode()]), min_size=1, max_size=5), max_size=20
    ),
    most=st.integers(1, 4),
)
def test_the_last_field_may_have_what_is_left(rows: list[list[bytes]], most: int) -> None:
    lines = [b"\t".join(row) for row in rows]
    split = split_columns(lines_of(lines), columns=[most], most=most)
    cut = [line.split(b"\t", most - 1) for line in lines]
    assert split.fields.tolist() == [len(fields) for fields in cut]
    good = [fields for line, fields in zip(lines, cut, strict=True) if len(fields) == most and b"\xff" not in line]
    for column in range(most):
        assert split.column(column).to_pylist() == [fields[column].decode() for fields in good]


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.sampled_from([b"", b"a", b"bcd", b"\xff", "日本".encode()]), min_size=1, max_size=6), max_size=20
    ),
    fields=st.sampled_from([[0], [1], [0, 1], [0, 2], [1, 3], [0, 2, 3]]),
)
def test_lines_without_fields_are_those_of_a_slow_split(rows: list[list[bytes]], fields: list[int]) -> None:
    split = split_columns(lines_of([b"\t".join(row) for row in rows]), columns=[6])
    chosen = [index for index, row in enumerate(rows) if len(row) > max(fields) + 1]
    wanted = [b"\t".join(part for at, part in enumerate(rows[index]) if at not in fields) for index in chosen]
    assert split.without(fields, np.array(chosen, np.int64)).to_pylist() == wanted


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.text(st.sampled_from('ab"\t\n\0é\u2028'), max_size=6), min_size=2, max_size=4), max_size=8
    ),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_csv_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], line_end: str
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter="\t", lineterminator=line_end).writerows(rows)
    content = out.getvalue().encode()
    path = write(tmp_path_factory.getbasetemp() / "rows.tsv", content)
    found = list(read_csv(path))
    assert [row.fields for row in found] == rows
    for row in found:
        assert row.error is None
        assert content[row.byte :].startswith(row.raw)
        assert row.line == content.count(b"\n", 0, row.byte) + 1


def test_rows_know_their_lines_and_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b'h\tk\r\n"a\r\nb"\t"c ""d"""\r\n\r\nlast\t"x"y')
    assert list(read_csv(path)) == [
        CsvRow(1, 0, ["h", "k"], b"h\tk", None),
        CsvRow(2, 5, ["a\r\nb", 'c "d"'], b'"a\r\nb"\t"c ""d"""', None),
        CsvRow(4, 23, [], b"", None),
        CsvRow(5, 25, ["last", "xy"], b'last\t"x"y', None),
    ]


def test_bad_rows_are_rows_with_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b'ok\t1\n"a\nb\xff"\t2\nx\ry\xef\xb7\x90\t3\nok\t4\n')
    rows = list(read_csv(path))
    assert [row.fields for row in rows] == [["ok", "1"], [], [], ["ok", "4"]]
    assert rows[1].error == f"{INVALID_UTF8} at byte 4 of the row"
    assert rows[1].raw == b'"a\nb\xff"\t2'
    assert rows[2].error == "a carriage return alone, outside quotes", "beside what would stand for it"
    assert [row.line for row in rows] == [1, 2, 4, 5]


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        (b"x\ry\t3\n", ["x\ry", "3"]),
        (b"\rx\t\r\r\n", ["\rx", "\r"]),
        (b'x\ry\t"a\rb\nc ""d""\r\ne"\t\rf\r\n', ["x\ry", 'a\rb\nc "d"\r\ne', "\rf"]),
        (b'"a\nb"\tx\ry\n', ["a\nb", "x\ry"]),
        (b'"a"\rb\tc\n', ["a\rb", "c"]),
        (b"a\tb\rc\td\re\n", ["a", "b\rc", "d\re"]),
    ],
)
def test_a_carriage_return_alone_is_a_character(tmp_path: Path, row: bytes, fields: list[str]) -> None:
    path = write(tmp_path / "a", b"ok\t1\n" + row + b"ok\t2\n")
    first, found, last = read_csv(path)
    assert (found.fields, found.error, found.line, found.byte) == (fields, None, 2, 5)
    assert (first.fields, last.fields, last.byte) == (["ok", "1"], ["ok", "2"], 5 + len(row))


def test_a_row_with_a_carriage_return_may_be_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsv, "MAX_ROW_BYTES", 1000)
    path = write(tmp_path / "a", b'a\tb\nx\ry\t"' + b"c\n" * 600 + b'"\nd\te\n')
    assert [row.fields for row in read_csv(path)] == [["a", "b"], [], ["d", "e"]]


def test_long_fields_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b'a\t"' + b"x" * 3_000_000 + b'"\n')
    assert [len(field) for field in next(iter(read_csv(path))).fields] == [1, 3_000_000]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b'h\tk\na\t"b\nc\n', "byte 6 (line 2)"),
        (b'h\tk\n"x\ny"\t"z', "byte 10 (line 3)"),
        (b'"', "byte 0 (line 1)"),
        (b'"a""', "byte 0 (line 1)"),
    ],
)
def test_an_open_quote_names_where_it_opened(tmp_path: Path, content: bytes, where: str) -> None:
    path = write(tmp_path / "a", content)
    with pytest.raises(InputError, match="a quoted field is not closed") as caught:
        list(read_csv(path))
    assert caught.value.where == f"{path}:{where}"
    path = write(tmp_path / "a.gz", gzip.compress(content))
    with pytest.raises(InputError) as caught:
        list(read_csv(path))
    assert caught.value.where == f"{path}:decompressed {where}"


def test_an_open_quote_does_not_swallow_all_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsv, "MAX_ROW_BYTES", 1000)
    path = write(tmp_path / "a", b'a\tb\nc\t"d\n' + b"e\tf\n" * 10_000)
    with pytest.raises(InputError, match=r"byte 6 \(line 2\): a quoted field is not closed"):
        list(read_csv(path))
    monkeypatch.setattr(tsv, "MAX_PASSED_BYTES", 5000)
    with pytest.raises(InputError, match=r"byte 6 \(line 2\): a row is longer than 5000 bytes"):
        list(read_csv(path))


@pytest.mark.parametrize(
    "long",
    [
        b"x" * 3000 + b"\ty",
        b'"' + b"x" * 3000 + b'"\ty',
        b'x\t"' + b'a "" b\n' * 500 + b'"',
        b'"a"b\t"' + b"\n" * 3000 + b'"',
        b'x\t"' + b"y" * 1000 + b'"',
        b'x\t"' + b"y" * 995 + b'""\n"',  # the limit is between two marks
        b'x\t"' + b"y" * 996 + b'""\n"',
        b'"' + b"y" * 2000 + b'"" ""\t"\r',
    ],
)
def test_a_row_that_is_too_long_is_lost_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bytes) -> None:
    content = b"a\tb\n" + long + b'\nc\t"d\ne"\nf\tg'
    (whole,) = [row for row in read_csv(write(tmp_path / "whole", content)) if row.byte == 4]
    monkeypatch.setattr(tsv, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(tsv, "_PART_BYTES", 7)
    path = write(tmp_path / "a", content)
    first, lost, *others = read_csv(path)
    assert first.fields == ["a", "b"]
    assert (lost.line, lost.byte, lost.fields, whole.error) == (2, 4, [], None)
    size, count = len(long) + 1, long.count(b"\n") + 1
    assert lost.error == f"a row of {size} bytes in {count} lines, over 1000, that begins at byte 4"
    assert [(row.line, row.byte, row.fields) for row in others] == [
        (2 + count, 4 + size, ["c", "d\ne"]),
        (4 + count, 12 + size, ["f", "g"]),
    ]


def test_long_rows_are_told_from_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsv, "MAX_ROW_BYTES", 1000)
    first, second, third = read_csv(
        write(tmp_path / "a", b"".join(b"x" * 9000 + end + b"\n" for end in (b"1", b"2", b"1")))
    )
    assert first.raw == third.raw != second.raw
    assert first.raw[:9] == b"x" * 9, "what people are shown of it"


def test_a_last_row_that_is_too_long_needs_no_line_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsv, "MAX_ROW_BYTES", 1000)
    path = write(tmp_path / "a", b'a\tb\nc\t"' + b"d" * 2000 + b'"')
    assert [row.error for row in read_csv(path)] == [
        None,
        "a row of 2004 bytes in 1 lines, over 1000, that begins at byte 4",
    ]


def test_a_hole_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a", b"a\tb\nc\td" + bytes(65_536) + b"\ne\tf\n")
    with pytest.raises(InputError, match=r"a:byte 7: a part of the file was never written"):
        list(read_csv(path))
    behind = write(tmp_path / "behind", b'a\t"' + b"b" * MAX_ROW_BYTES + b"\n" + bytes(65_536) + b'\n"\ne\tf\n')
    with pytest.raises(InputError, match=rf"behind:byte {MAX_ROW_BYTES + 4}: a part of the file was never written"):
        list(read_csv(behind))
    few = write(tmp_path / "few", b"a\tb" + bytes(65_535) + b"\n")
    assert [len(row.fields[1]) for row in read_csv(few)] == [65_536]


@pytest.mark.parametrize(
    ("row", "opened"),
    [
        (b"", None),
        (b'a"b', None),
        (b'"a"', None),
        (b'"a""b', (0, 0)),
        (b'"a"b"c', None),
        (b'x\t"a"\t"b\tc', (6, 0)),
        (b'"a"x\t"', (5, 0)),
        (b'"a\nb"\t"c', (6, 1)),
    ],
)
def test_where_a_quote_opens(row: bytes, opened: tuple[int, int] | None) -> None:
    assert open_quote(row, ord("\t")) == opened


def test_genuine_rows(samples: Path) -> None:
    rows = list(read_csv(str(samples / "wit" / "tfds_train-00000-of-00009.tsv")))
    assert [len(row.fields) for row in rows] == [17] * len(rows)
    cut = str(samples / "wit" / "tfds_test-00000-of-00005.tsv")
    with pytest.raises(InputError, match=r":byte \d+ \(line \d+\): a quoted field is not closed"):
        list(read_csv(cut))
    batches = list(read_lines(str(samples / "cc3m" / "Validation_GCC-1.1.0-Validation.head5000.tsv")))
    splits = [split_columns(batch.lines, columns=[2]) for batch in batches]
    assert sum(len(split.good) for split in splits) == 5000
    urls = np.concatenate([split.column(1).to_numpy(zero_copy_only=False) for split in splits])
    assert all(url.startswith("http") for url in urls)


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        (b"caption\turl", ("text", "image_url")),
        (b" URL \tCaption\r", ("image_url", "text")),
        (b"url", ("image_url",)),
        (b"url\tcaption\tcolour", None),
        (b"url\thttp://a.example/1.jpg", None),
        (b"", None),
        (b"url\t", None),
        (b"url\t\xff", None),
    ],
)
def test_a_header_is_a_line_of_known_names(line: bytes, columns: tuple[str, ...] | None) -> None:
    assert tsv.header(line, {"url": "image_url", "caption": "text"}) == columns


def test_a_byte_order_mark_is_no_part_of_quoted_text(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b'\xef\xbb\xbf"a\nb"\tc\r\nd\te')
    rows = list(read_csv(str(path)))
    assert [(row.line, row.byte, row.fields, row.raw) for row in rows] == [
        (1, 3, ["a\nb", "c"], b'"a\nb"\tc'),
        (3, 12, ["d", "e"], b"d\te"),
    ]
    path.write_bytes(b'\xef\xbb\xbfa\t"b')
    with pytest.raises(InputError, match="a quoted field is not closed") as caught:
        list(read_csv(str(path)))
    assert caught.value.where == f"{path}:byte 5 (line 1)"


@pytest.mark.parametrize(
    ("text", "is_quoted"),
    [
        ('u\t"a ""b"" c"\n', True),
        ('"a ""b"" c"\tu\r\n"d"\tv\r\n', True),
        ('u\t"a\n"\nv\tb\n', True),
        ('u\t"a ""b"" c"\nv\t"what is cu', True),
        ('u\t"a"\n', False),
        ('u\t""\n', False),
        ('u\t""a""\n', False),
        ('u\t"a begins\nv\tb ends"\nw\t"c ""d"""\n', False),
        ('u\t"a ""b"" c"\nv\t5" wide\nw\td\n', False),
        ('"u"\t"c"\n"http://a.example/1.jpg"\t"a cat"\n', True),
        ('u\tc\r\n"a cat"\t"HTTPS://a.example/1.jpg"\r\n\r\n"a dog"\t"http://a.example/2.jpg"\r\n', True),
        ('"http://a.example/1.jpg"\t"a cat"', True),
        ('"c"\t"u"\n"a cat"\t"http://a.example/1.jpg"\n"a dog"\t"http://a.exa', True),
        ('"http://a.example/1.jpg"\thttp://a.example/1.jpg\na cat\thttp://a.example/2.jpg\n', False),
        ("", False),
    ],
)
def test_what_a_csv_writer_quotes_is_told_from_marks_that_are_text(text: str, is_quoted: bool) -> None:
    assert tsv.is_quoted(text.encode()) is is_quoted
