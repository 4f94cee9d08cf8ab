import shlex

import pytest

from stance_suite.report.page import render_html
from stance_suite.report.page.provenance import describe_provenance
from stance_suite.schema.recipes import RunSettings
from tests.edits import altered, edited
from tests.html_pages import parse

ASKED = {"models": ("m", "a folder/model"), "profile": "quick", "recipes": ("documented",), "device": "auto"}
SETTINGS = RunSettings(seeds=(0, 3), samples=2, trajectory=True, gate=False, **ASKED)


def commands(run, **changes):
    asked = altered(run, settings=altered(SETTINGS, **changes))
    return [shlex.split(line) for line in describe_provenance(asked).commands.splitlines()]


def test_the_run_can_be_asked_for_again_with_the_same_versions(whole_run):
    install, run, verify = commands(whole_run)
    assert install == ["pip", "install", f"stance-suite=={whole_run.suite_version}", "torch==1"]
    assert shlex.join(run) == (
        "stance-suite run --model m --model 'a folder/model' --profile quick --seed 0 --seed 3 --samples 2 "
        "--device cpu --trajectory"
    )
    assert verify == ["stance-suite", "verify", "reports/findings.json"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"gate": True, "models": ("m",)},
            "stance-suite gate m --profile quick --seed 0 --seed 3 --samples 2 --device cpu",
        ),
        (
            {"gate": True, "seeds": (0,)},
            "pytest stance_tests --stance-gate --stance-model m --stance-model 'a folder/model' --stance-profile quick "
            "--stance-seed 0 --stance-samples 2 --stance-device cpu",
        ),
        (
            {"models": (), "before": "x", "after": "y", "stance": "s", "profile": None, "seeds": (0,)},
            "stance-suite run --before x --after y --stance s --seed 0 --samples 2 --device cpu",
        ),
    ],
)
def test_gates_and_pairs_have_commands_of_their_own(whole_run, changes, expected):
    assert shlex.join(commands(whole_run, trajectory=False, **changes)[1]) == expected


def test_the_label_of_a_build_is_left_out(whole_run):
    built = edited(whole_run, (("cells", 0, "provenance", "versions"), {"torch": "2.13.0+cpu"}))
    assert "torch==2.13.0" in commands(built)[0]


def test_what_is_not_on_record_is_not_made_up(whole_run):
    without = describe_provenance(altered(whole_run, settings=None))
    assert (without.commands, without.settings) == ("", ())


def test_each_model_is_told_once_by_its_untouched_cells(whole_run):
    moved = edited(whole_run, (("cells", "base--0", "provenance", "weights_sha256"), "f" * 64))
    ((shown, derivative_sha256),) = describe_provenance(moved).origins
    base = next(record for record in whole_run.cells if record.cell.treatment == "base")
    assert (shown.key, shown.cell.model) == (base.key, "m")
    assert (shown.provenance.weights_sha256, derivative_sha256) == ("f" * 64, None)


def test_a_model_trained_elsewhere_is_told_by_both_hashes(whole_run):
    base = next(record for record in whole_run.cells if record.cell.treatment == "base")
    base = altered(base, provenance=altered(base.provenance, weights_sha256="b" * 64))
    elsewhere = altered(base.cell, treatment="elsewhere", recipe="elsewhere")
    trained = altered(base.provenance, derivative_sha256="d" * 64)
    pair = altered(whole_run, cells=(base, altered(base, key="after", cell=elsewhere, provenance=trained)))
    ((shown, derivative_sha256),) = describe_provenance(pair).origins
    assert (shown.provenance.weights_sha256, derivative_sha256) == ("b" * 64, "d" * 64)
    assert f"<code>{'d' * 64}</code>" in render_html(pair)


def test_hashes_versions_seeds_and_prompts_as_they_were_fed_are_shown(whole_run):
    said = parse(render_html(whole_run)).text
    labels = {record.cell.label for record in whole_run.cells}
    fed = whole_run.cells[0].behavior.prompt_texts.values()
    assert [told for told in ("0" * 64, "torch 1", *labels, *fed) if told not in said] == []


def test_what_a_gate_was_held_against_is_named_beside_the_commands(whole_run):
    def told(**changes):
        gate = altered(whole_run.gate, **changes)
        page = render_html(altered(whole_run, settings=SETTINGS, gate=gate))
        return " ".join(page.partition("Run it where the same stances and claims are declared")[2][:120].split())

    assert told(policy="strict.yaml").startswith(", with the same policy (strict.yaml). Another")
    against = told(policy="strict.yaml", baseline="base.json")
    assert against.startswith(", with the same policy (strict.yaml) and baseline (base.json). Another")


def test_what_a_recipe_does_to_fit_is_shown_where_it_does_it(whole_run):
    (recipe,) = whole_run.recipes
    assert "Precision of a step" not in (page := render_html(whole_run))
    assert "Gradient checkpointing" not in page
    lean = altered(recipe, precision="bfloat16", gradient_checkpointing=True)
    page = render_html(altered(whole_run, recipes=(lean,)))
    assert "bfloat16; weights, gradients and optimizer float32" in page
    assert "Gradient checkpointing" in page
