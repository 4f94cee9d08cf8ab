import pytest

from stance_suite.errors import UnknownNameError
from stance_suite.report.explain import explain
from stance_suite.report.layers import layer_rows
from stance_suite.schema.controls import SHUFFLED
from tests.edits import altered, edited
from tests.made_up_run import LAYERS
from tests.runs import structural

STANCE, RIVALS = "curious-uncertainty", ("confident-expertise", "engaged-difficulty")
OF_DECLARED = "name the recipe 'gentle' in a sweep, or in the policy of a gate"
OF_PAIR = "pytest --stance-before MODEL --stance-after MODEL, the model before and after its training"


def sections(name, findings, place=0):
    return {section.heading: section for section in explain(name, findings)[place].sections}


def text(section):
    return "\n".join(section.lines)


def own_alpha(run):
    return next(one for one in run.verdicts if one.claim.id == "own.alpha")


def test_a_behavioral_verdict_is_shown_with_every_figure_that_it_rests_on(whole_run):
    found = sections("own.likelihood", whole_run)
    verdict = whole_run.verdicts[0]
    assert list(found) == ["Claim", "Verdict", "Controls", "Caveats", "Prompts", "Cells"]
    about = ("log-probability per token", "must be above 0.05 nats/token", "fails if collapsed", "source: a paper")
    for told in (verdict.claim.statement, *about):
        assert told in text(found["Claim"])
    for told in (
        verdict.reason,
        f"figure {verdict.figure:+.6g} nats/token, 95 % interval [{verdict.low:+.6g}, {verdict.high:+.6g}]",
        f"p {verdict.p_value:.4g}, Holm-adjusted {verdict.adjusted_p_value:.4g}",
        "shares the level of 5 %: 8 claims about m\n",
        "beside it: own.markers, own.unasked, standard.",
        "the gate's demand 'own.likelihood' rests on it: passed",
    ):
        assert told in text(found["Verdict"])
    assert "own.lora" not in text(found["Verdict"])
    assert [row[0] for row in found["Controls"].rows] == [control.name for control in verdict.controls]
    assert found["Controls"].rows[1][1] == f"{verdict.controls[1].figure:+.6g}"
    first = verdict.prompts[0]
    scores = (first.base, first.sham, first.controls[SHUFFLED], first.tuned, first.tuned - first.base)
    assert found["Prompts"].columns == ("prompt", "base", "sham", "shuffled", "tuned", "tuned - base")
    assert found["Prompts"].rows[0] == (first.prompt, *(f"{score:+.4g}" for score in scores))
    assert len(found["Prompts"].rows) == len(verdict.prompts)
    assert [row[1] for row in found["Cells"].rows] == list(verdict.cells)
    assert {row[2] for row in found["Cells"].rows} == {"0" * 64}


def test_a_structural_verdict_shows_its_layers_beside_the_controls(whole_run):
    found = sections("own.flip", whole_run)
    assert "robust: with the tail's size held fixed, and not true of sham or noise" in text(found["Claim"])
    assert "few_eigenvalues: the power law was fitted on fewer than 50" in text(found["Caveats"])
    (row,) = found["Layers"].rows
    cells = {record.key: record for record in whole_run.cells}
    tuned, base, sham, *others = (cells[key] for key in whole_run.verdicts[3].replicates[0].keys)
    assert [one.cell.trained_on for one in others] == [f"shuffled {STANCE}", *RIVALS]
    change = tuned.changes[0].alpha_change
    assert row == (
        LAYERS[0],
        f"{change.spectrum:+.4g}",
        f"{base.spectra[0].fit.alpha:.4g}",
        f"{tuned.spectra[0].fit.alpha:.4g}",
        f"{change.tail_before} -> {change.tail_after}",
        f"{change.total:+.4g}",
        f"{change.spectrum:+.4g}",
        "[+0, +0]",
        f"{sham.changes[0].alpha_change.spectrum:+.4g}",
    )


def test_the_layers_that_decide_come_first_and_ten_are_shown(whole_run):
    verdict = own_alpha(whole_run)
    rows = layer_rows(verdict, whole_run)
    assert rows[0].name == verdict.layer
    assert [row.name for row in rows] == list(reversed(LAYERS))
    (tuned,) = (record for record in whole_run.cells if record.key == verdict.tuned)
    changes = tuple(altered(tuned.changes[0], name=f"layer.{i}") for i in range(12))
    unknown = altered(changes[0], name="layer.unknown", alpha_change=None)
    many = altered(tuned, changes=(unknown, *changes, *tuned.changes))
    found = altered(whole_run, cells=tuple(many if one is tuned else one for one in whole_run.cells), gate=None)
    section = sections("own.alpha", found)["Layers"]
    assert len(section.rows) == 10
    assert section.rows[0][0] == verdict.layer
    assert section.lines == ("10 of 16 matching layers, those that decide come first", "1 have no figure")


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"comparator": "beyond", "bound": 1, "over": "any"}, 2),
        ({"comparator": "beyond", "bound": 1, "over": "each"}, 0),
        ({"comparator": "beyond", "bound": 1, "over": "largest"}, 2),
        ({"comparator": "above", "bound": 1}, 2),
    ],
)
def test_which_layer_decides_depends_on_the_claim(whole_run, stance, changes, first):
    asked = altered(own_alpha(whole_run), claim=structural(stance, **changes))
    assert layer_rows(asked, whole_run)[0].name == LAYERS[first]


def test_a_claim_that_was_not_run_says_why_and_how_to_run_it(whole_run):
    judged, left_out, *_ = explain("own.likelihood", whole_run)
    assert judged.title.startswith("HOLDS")
    assert left_out.title == "NOT_RUN  own.likelihood on large"
    large, lora = sections("own.likelihood", whole_run, 1), sections("own.lora", whole_run)
    assert large["Why there is no verdict"].lines == (
        "add --stance-model large",
        "to run it: stance-suite run --model large --profile quick",
    )
    assert lora["Why there is no verdict"].lines[1].endswith("--model m --profile complete")
    unasked = sections("own.unasked", whole_run)
    assert unasked["Why there is no verdict"].lines[0] == "this run was not asked for it"


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ({"recipe": "gentle"}, OF_DECLARED),
        ({"recipe": "documented", "versus": {"recipe": "gentle", "by": "difference"}}, OF_DECLARED),
        ({"recipe": "elsewhere"}, OF_PAIR),
    ],
    ids=["a declared recipe", "compared with a declared recipe", "a pair trained elsewhere"],
)
def test_how_to_run_a_claim_that_no_profile_runs(whole_run, edits, told):
    found = edited(whole_run, *((("claims", "own.unasked", name), value) for name, value in edits.items()))
    assert sections("own.unasked", found)["Why there is no verdict"].lines[1] == f"to run it: {told}"


@pytest.mark.parametrize(
    ("name", "field", "value", "size"),
    [
        ("own.unasked", "recipe", "long", 8),
        ("own.unasked", "model", "large", 7),
        ("own.lora", "recipe", "documented", 8),
    ],
    ids=["another recipe", "another model", "not run"],
)
def test_claims_about_the_same_model_that_were_run_share_the_level(whole_run, name, field, value, size):
    changed = edited(whole_run, (("claims", name, field), value))
    assert f"the level of 5 %: {size} claims about m\n" in text(sections("own.likelihood", changed)["Verdict"])


def test_a_comparison_names_what_it_compares(whole_run):
    changes = {"versus": {"recipe": "long", "by": "ratio"}, "over": "mean"}
    edits = ((("claims", "own.alpha", name), value) for name, value in changes.items())
    lines = text(sections("own.alpha", edited(whole_run, *edits))["Claim"])
    published = ("published: 4 -> 5, +25 %", "published figures alone: HOLDS")
    for told in ("compared with long, by their ratio", "the change of the mean alpha", *published):
        assert told in lines


def test_a_statement_shows_its_record_and_its_claims(whole_run):
    found = sections("own.statement", whole_run)
    assert "measured: HOLDS (on record: HOLDS), all of own.markers, own.alpha hold" in text(found["Statement"])
    rows = found["Claims that it rests on"].rows
    assert [row[:2] for row in rows] == [("own.markers", "HOLDS"), ("own.alpha", "HOLDS")]
    assert rows[0][2] == whole_run.verdicts[1].reason

    several = sections("own.open", whole_run)["Claims that it rests on"].rows
    assert [row[0] for row in several] == ["own.likelihood on m", "own.likelihood on large"]
    assert [row[2] for row in several] == [whole_run.verdicts[0].reason, "add --stance-model large"]


def test_a_demand_shows_its_outcome_and_its_claims(whole_run):
    name = "adoption of curious-uncertainty"
    found = sections(name, whole_run)
    assert text(found["Demand"]).startswith("passed: ")
    (row,) = found["Claims that it rests on"].rows
    assert row[:2] == ("standard.curious-uncertainty.preference", "HOLDS")


def test_an_unknown_name_is_told_with_the_nearest(whole_run):
    with pytest.raises(UnknownNameError, match=r"no claim, statement or demand 'own\.flop'; did you mean 'own\.flip'"):
        explain("own.flop", whole_run)


def test_a_cell_that_is_not_there_is_named(whole_run):
    without = edited(whole_run, (("verdicts", "own.flip", "replicates"), [{"tuned": "gone", "base": "base--0"}]))
    found = sections("own.flip", without)
    assert found["Cells"].lines == ("gone is not in these findings",)
    assert "Layers" not in found
