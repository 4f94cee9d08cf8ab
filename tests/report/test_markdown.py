"""Markdown as GitHub reads it: parsed into tables, never as markup of somebody else's."""

import re

import pytest
from markdown_it import MarkdownIt

from stance_suite.report.markdown import escape, table
from stance_suite.report.markdown_summary import render_summary
from stance_suite.schema.metrics import Caveat
from stance_suite.schema.policy import Policy
from stance_suite.schema.statements import RecordedVerdict, StatementVerdict
from stance_suite.schema.verdicts import Status
from tests.edits import altered
from tests.gates import edited, gate_run, gated, judged_run, trained
from tests.runs import findings

HOSTILE = "m|x`y`\n# h <img src=x onerror=1> [l](http://e.vil) ![i](u) **b** @team https://e.vil </details> \x00🦙"


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
    figures = ("+0.24 [-0.1, +0.5]", "at 21:18:37", "-0.1 (p = 0.05)")
    for text in ("smollm2.curious.likelihood", *figures, "tail_flip", "naïve → 好"):
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
    with pytest.raises(ValueError, match="3 cells in a table of 2"):
        table(("a", "b"), [("1", "2", "3")])


def tables(text) -> list[list[list[str]]]:
    """Every table as rows of cells, the head first, as a reader sees them."""
    found: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and found[-1] and token.level > 2:
            assert {child.type for child in token.children} <= {"text", "text_special"}, token.content
            found[-1][-1].append("".join(child.content for child in token.children))
    return found


def test_a_gate_has_a_table_of_demands_and_one_of_verdicts(stance):
    run = gated(gate_run(stance))
    text = render_summary(run)
    demands, verdicts = tables(text)
    assert demands[0] == ["demand", "outcome", "model", "why"]
    assert [row[0] for row in demands[1:]] == [one.name for one in run.gate.demands]
    assert [row[3] for row in demands[1:]] == [one.reason for one in run.gate.demands]
    assert {row[1] for row in demands[1:]} == {"✅ passed"}
    assert verdicts[0] == ["claim", "verdict", "figure", "caveats", "model"]
    assert [row[0] for row in verdicts[1:]] == [one.claim.id for one in run.verdicts]
    preference = run.verdicts[0]
    assert verdicts[1][2].startswith(
        f"{preference.figure:+.4f} nats/token [{preference.low:+.3f}, {preference.high:+.3f}]"
    )
    assert "**✅ The gate passed: 4 demands were met.**" in text
    assert text.startswith("## stance-suite\n")
    assert "1 FAILS, 5 HOLDS; 0 not as on record" in text


def test_what_failed_stands_first(stance):
    report = gated(gate_run(stance, alpha=9.0))
    text = render_summary(report)
    demands, verdicts = tables(text)
    assert demands[1][:2] == [f"no unexplained change of weights by {stance.name}", "❌ failed"]
    assert len(demands) == 5
    assert verdicts[1][0] == f"standard.{stance.name}.structure"
    assert verdicts[1][1] == "HOLDS (on record: FAILS or INCONCLUSIVE)"
    assert "**❌ The gate failed: 1 of 4 demands were not met, such as no unexplained change" in text
    assert "1 not as on record" in text


def test_warnings_stand_between(stance):
    run = edited(gate_run(stance, alpha=9.0), ".divergence", status=Status.INCONCLUSIVE)
    demands, _ = tables(render_summary(gated(run, Policy(inconclusive="warn"))))
    assert [row[1] for row in demands[1:]] == ["❌ failed", "⚠️ warning", "✅ passed", "✅ passed"]


def test_without_a_gate_there_are_verdicts_only(stance):
    run = edited(gate_run(stance), ".markers", status=Status.NOT_RUN)
    (verdicts,) = tables(render_summary(run))
    assert len(verdicts) == len(run.verdicts), "the head, and what was run"


def test_of_nothing_says_so(stance):
    text = render_summary(gated(findings(stance)))
    (demands,) = tables(text)
    assert demands == [["demand", "outcome", "model", "why"]]
    assert "**❌ The gate failed: nothing was judged, so nothing was shown.**" in text
    assert "no claim judged" in text


def test_caveats_are_explained_once(stance):
    run = edited(gate_run(stance), "standard.", caveats=(Caveat.PARROTED,))
    text = render_summary(run)
    assert text.count("*parroted*: many responses repeat a training response") == 1
    assert tables(text)[0][1][3] == "parroted"


def test_several_models_share_the_tables(stance):
    run = gated(judged_run(stance, [trained(stance), trained(stance, model="n")]))
    demands, verdicts = tables(render_summary(run))
    assert [row[2] for row in demands[1:]] == ["m"] * 4 + ["n"] * 4
    assert [row[4] for row in verdicts[1:]] == ["m"] * 6 + ["n"] * 6


def test_hostile_names_and_reasons_stay_text(stance):
    unmeasured = {"figure": None, "low": None, "high": None, "p_value": None, "adjusted_p_value": None}
    run = edited(gate_run(stance, model=HOSTILE), "standard.", status=Status.ERROR, reason=HOSTILE, **unmeasured)
    run = altered(gated(run), command=HOSTILE)
    text = render_summary(run)
    seen = re.sub(r"[\n\x00]", " ", HOSTILE).strip()
    demands, verdicts = tables(text)
    assert [len(row) for row in demands] == [4] * 5
    assert [len(row) for row in verdicts] == [5] * (1 + len(run.verdicts))
    assert {row[2] for row in demands[1:]} == {seen}
    assert {row[4] for row in verdicts[1:]} == {seen}
    assert verdicts[1][2] == seen
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert not re.search(r"<(?!/?(h2|p|strong|em|table|thead|tbody|tr|th|td)\b)", html)
    assert "@team" not in text and "https://" not in text


def test_statements_are_folded_away_and_still_a_table(stance):
    record = RecordedVerdict.model_construct(statement="It <was> said|", status="FAILS", reason="it | disagrees")
    made = StatementVerdict.model_construct(statement="It is so.", status="HOLDS", reason="two claims hold")
    text = render_summary(altered(gate_run(stance), records=(record,), statements=(made,)))
    _, folded = tables(text)
    assert folded == [
        ["statement", "", "verdict", "why"],
        ["It <was> said|", "on record", "FAILS", "it | disagrees"],
        ["It is so.", "measured", "HOLDS", "two claims hold"],
    ]
    assert "<details><summary>2 published figures and statements</summary>\n\n| statement" in text
    assert re.search(r"\|\n\n</details>\n\n", text)
