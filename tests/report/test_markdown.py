import pytest

from stance_suite.report.markdown import escape, table


def test_markup_becomes_character_references():
    assert escape("a|b") == "a&#124;b"
    assert escape("<script>alert(1)</script>") == "&#60;script&#62;alert(1)&#60;/script&#62;"
    assert escape("[x](javascript:y) *b* `c` $d$ ~~e~~ #1 @f &lt; \\") == (
        "[x&#93;(javascript:y) &#42;b&#42; &#96;c&#96; &#36;d&#36; &#126;&#126;e&#126;&#126; &#35;1 &#64;f "
        "&#38;lt; &#92;"
    )
    assert escape("https://x.y www.x.y _z_") == "https&#58;//x.y www&#46;x.y &#95;z&#95;"
    assert escape("![x][y] [z]: u :smile:") == "![x&#93;[y] [z&#93;: u &#58;smile:"


def test_what_means_nothing_stays_readable():
    for text in (
        "smollm2.curious.likelihood",
        "+0.24 [-0.1, +0.5]",
        "at 21:18:37",
        "tail_flip",
        "-0.1 (p = 0.05)",
        "naïve → 好",
    ):
        assert escape(text) == text


def test_a_cell_is_one_line():
    assert escape(" a\r\n\n| b\t\u2028c\u202ed\x00 ") == "a &#124; b c d"


def test_a_table_keeps_its_columns_whatever_is_in_them():
    text = table(("claim", "x|y"), [("a|b\nc", "1"), ("<b>", "-2")])
    lines = text.splitlines()
    assert text.endswith("\n")
    assert lines[0] == "| claim | x&#124;y |"
    assert lines[1] == "| :-- | --: |"
    assert lines[2] == "| a&#124;b c | 1 |"
    assert {line.count("|") for line in lines} == {3}


def test_a_row_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="3 cells in a table of 2"):
        table(("a", "b"), [("1", "2", "3")])
