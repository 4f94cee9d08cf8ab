import json
import re
from itertools import product
from math import nan

import pytest

from stance_suite.report.page import render_html
from stance_suite.report.page.spectra import explain_tail, layer_change, layer_spectrum
from stance_suite.report.page.structure import describe_structure
from stance_suite.schema.spectra import AlphaInterval, PowerLaw, SpectrumCurve
from tests.edits import altered
from tests.measured import alpha_change, findings, layer, record

QUERY, UP = "model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj"
CHANGE = layer(QUERY, alpha_change(1, 0.1))
HOSTILE = "model.layers.1.</script><img src=x onerror=alert(1)>"


def trained(treatment, *changes, **cell):
    """A training of `tests.measured.record`, whose recipe, stance and model are chosen here."""
    made = record(treatment, *changes)
    return altered(made, cell=altered(made.cell, **cell))


def map_of(*cells):
    (one,) = describe_structure(findings(*cells)).maps
    return one


def a_map(*names):
    return map_of(trained("sham", *(layer(name, None) for name in names)))


def spectrum(tail_size=60, ks_distance=0.05, **fields):
    """The made-up spectrum with another fit."""
    fit = PowerLaw(alpha=3.0, xmin=1.0, ks_distance=ks_distance, sigma=0.2, tail_size=tail_size)
    return record("base").spectra[0].model_copy(update={"fit": fit, **fields})


def test_rows_are_blocks_and_columns_are_roles_by_their_order_in_a_block():
    inside = ("0.mlp.down_proj", "0.self_attn.q_proj", "10.self_attn.q_proj", "2.mlp.down_proj")
    names = ["lm_head", *(f"model.layers.{name}" for name in inside)]
    names.insert(3, "model.embed_tokens")
    one = a_map(*names)
    assert one["layers"] == names
    assert one["columns"] == ["query", "down"]
    assert one["rows"] == [
        {"title": "embed_tokens", "layers": [3]},
        {"block": 0, "layers": [2, 1]},
        {"block": 2, "layers": [None, 5]},
        {"block": 10, "layers": [4, None]},
        {"title": "lm_head", "layers": [0]},
    ]
    within = a_map("model.layers.0.lm_head", "lm_head")
    assert within["rows"] == [{"block": 0, "layers": [0]}, {"title": "lm_head", "layers": [1]}]


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["h.0.attn.c_attn", "h.0.mlp.c_proj"], ["query-key-value", "down"]),
        (["layers.0.experts.0.w1", "layers.0.experts.1.w1"], ["experts.0.w1", "experts.1.w1"]),
        (["layers.0.router", "layers.0.q_proj"], ["query", "router"]),
        (["encoder.block.0.q_proj", "decoder.block.0.q_proj"], ["encoder.block.*.q_proj", "decoder.block.*.q_proj"]),
    ],
)
def test_columns_are_named_by_as_much_as_tells_them_apart(names, columns):
    one = a_map(*names)
    assert one["columns"] == columns
    placed = [place for row in one["rows"] for place in row["layers"] if place is not None]
    assert sorted(placed) == [0, 1]


def test_figures_are_aligned_with_the_layers_and_missing_ones_are_null():
    base = record("base", layer(QUERY, None), layer(UP, None))
    unchanged = altered(layer(QUERY, None), weight_change=None, noise=None)
    unknown = altered(layer(QUERY, None), weight_change=None, noise=None, failure="not finite")
    moved = layer(UP, alpha_change(-78.123456, nan, 6, 39), stable_rank=2.34567)
    sham = trained("sham", moved, unchanged)
    tuned = trained("stance", unknown, stance="curious")
    one = map_of(base, sham, tuned)
    of_tuned, of_sham = one["trainings"]
    assert one["layers"] == [QUERY, UP]
    assert (of_tuned["label"], of_tuned["norm"]) == ("curious", [None, None])
    assert (of_sham["total"], of_sham["spectrum"]) == ([None, -78.12], [None, None])
    assert (of_sham["tail_before"], of_sham["tail_after"]) == ([None, 6], [None, 39])
    assert (of_sham["norm"], of_sham["stable_rank"]) == ([0.0, 0.1], [None, 2.346])
    assert of_sham["p_value"] == [None, 0.01]


def test_tail_flips_are_listed_by_the_place_of_their_layer():
    flipped, moved = layer(UP, alpha_change(5.0, 0.1, 26, 24)), layer(QUERY, alpha_change(5.0, 4.0, 26, 24))
    assert map_of(trained("sham", moved, flipped))["trainings"][0]["flips"] == [1]


def test_the_recipe_shown_first_is_the_one_with_the_largest_change_of_a_model_under_test():
    cells = [
        trained(treatment, layer(QUERY, alpha_change(total, 0.1)), recipe=recipe)
        for treatment, total, recipe in [("stance", 2, "documented"), ("stance", -3, "long"), ("sham", 9, "documented")]
    ]
    assert map_of(*cells)["shown"] == {"recipe": "long", "seed": 0}


def test_a_training_is_held_against_the_sham_of_its_recipe_seed_and_family():
    cells = [
        trained("sham", CHANGE),
        trained("stance", CHANGE, stance="a"),
        trained("stance", CHANGE, stance="b", recipe="long"),
        trained("stance", CHANGE, stance="c", seed=1),
        trained("elsewhere", CHANGE, recipe=None),
        altered(trained("stance", CHANGE, stance="d"), family="g"),
    ]
    one = map_of(*cells)
    controls = {each["label"]: each["controls"] for each in one["trainings"]}
    place = [each["kind"] for each in one["trainings"]].index("sham")
    assert controls == {"a": {"sham": place}, "b": {}, "c": {}, "d": {}, "trained elsewhere": {}, "sham": {}}
    assert {each["recipe"] for each in one["trainings"]} == {"documented", "long", "elsewhere"}


def test_shams_of_several_families_are_named_by_what_is_held_against_them():
    ours = [trained("sham", CHANGE), trained("stance", CHANGE, stance="a")]
    theirs = [altered(cell, family="g") for cell in (trained("sham", CHANGE), trained("stance", CHANGE, stance="b"))]
    labels = {each["label"] for each in map_of(*ours, *theirs)["trainings"]}
    assert labels == {"a", "b", "sham for a", "sham for b"}


def test_trainings_that_are_compared_stand_together_the_sham_last():
    cells = [
        trained("stance" if stance else "sham", CHANGE, stance=stance, recipe=recipe)
        for stance, recipe in product((None, "b", "a"), ("long", "documented"))
    ]
    shown = [(each["recipe"], each["label"]) for each in map_of(*cells)["trainings"]]
    assert shown == list(product(("documented", "long"), ("a", "b", "sham")))


def test_spectra_are_those_before_and_after_of_the_same_layer():
    before = record("base", layer(QUERY, None), layer(UP, None))
    after = trained("sham", layer(UP, alpha_change(1, 0.1)))
    after = altered(after, spectra=(altered(spectrum(33), name=UP),))
    (one,) = describe_structure(findings(before, after)).spectra
    assert [each["fit"]["tail_size"] for each in one["before"]] == [60, 60]
    assert one["trainings"][0]["after"][0] is None
    assert one["trainings"][0]["after"][1]["fit"]["tail_size"] == 33
    assert one["trainings"][0]["changes"] == [None, layer_change(after.changes[0], before.spectra[1], after.spectra[0])]


def test_a_spectrum_is_its_curve_its_fits_and_their_interval():
    curve = SpectrumCurve(sizes=(3, 1), eigenvalues=(0.123456, 2.0), ks_distances=(0.0987654, None))
    interval = AlphaInterval(low=2.34567, high=4.0, without_top=None)
    assert layer_spectrum(spectrum(60, 0.10752449, curve=curve, interval=interval)) == {
        "fit": {"alpha": 3.0, "xmin": 1.0, "ks_distance": 0.107524, "tail_size": 60},
        "interval": [2.346, 4.0],
        "curve": {"sizes": (3, 1), "eigenvalues": [0.1235, 2.0], "ks_distances": [0.0987654, None]},
    }
    assert layer_spectrum(None) is None


def test_a_file_without_curves_has_those_of_featured_layers_from_all_eigenvalues():
    featured = spectrum(eigenvalues=(0.0, 1.0, 2.0, 4.0), ks_distances=(0.2, 0.1))
    curve = {"sizes": (3, 2, 1), "eigenvalues": [1.0, 2.0, 4.0], "ks_distances": [0.2, 0.1, None]}
    assert layer_spectrum(featured)["curve"] == curve
    assert "curve" not in layer_spectrum(spectrum(eigenvalues=None))


def test_a_change_has_its_noise_in_the_units_of_the_page():
    shown = layer_change(layer(QUERY, None), None, None)
    assert shown["energy"] == 60.0
    assert shown["noise"]["energy"] == {"low": 5.0, "high": 5.0, "p_value": 0.01}
    assert shown["noise"]["stable_rank"]["low"] == 100.0
    failed = altered(layer(QUERY, None), weight_change=None, noise=None, failure="not finite")
    assert layer_change(failed, None, None) == {"failure": "not finite"}


def test_a_flip_is_explained_by_both_tails_before_and_after():
    runner_up = PowerLaw(alpha=2.0, xmin=2.0, ks_distance=0.121, sigma=0.1, tail_size=26)
    before = spectrum(12, 0.1204, runner_up=runner_up)
    curve = SpectrumCurve(sizes=(26, 13, 1), eigenvalues=(1.0, 2.0, 3.0), ks_distances=(0.118, 0.1199, None))
    after = spectrum(26, 0.118, curve=curve)
    assert explain_tail(alpha_change(-78.0, -0.02, 12, 26), before, after) == (
        "Before training two tails fit almost equally well: KS distance 0.1204 on 12 eigenvalues, 0.0006 more on 26. "
        "After training it is 0.0019 less on 26 than on 12. The spectrum itself moved alpha by −0.0200 %, "
        "the choice of the tail by −77.98 %."
    )


def test_distances_that_decide_by_their_last_digits_are_told_apart():
    runner_up = PowerLaw(alpha=2.0, xmin=2.0, ks_distance=0.10752434, sigma=0.1, tail_size=32)
    before = spectrum(33, 0.10751234, runner_up=runner_up)
    after = spectrum(32, 0.10751234, runner_up=altered(runner_up, ks_distance=0.1075197, tail_size=33))
    said = explain_tail(alpha_change(-7.0, -0.02, 33, 32), before, after)
    assert "KS distance 0.107512 on 33 eigenvalues, 0.000012 more on 32." in said
    assert "After training it is 0.000008 less on 32 than on 33." in said


def test_tails_that_do_not_fit_alike_are_not_said_to():
    runner_up = PowerLaw(alpha=2.0, xmin=2.0, ks_distance=0.12, sigma=0.1, tail_size=12)
    before = spectrum(12, 0.1, runner_up=altered(runner_up, tail_size=26))
    after = spectrum(26, 0.05, runner_up=runner_up)
    said = explain_tail(alpha_change(-78.0, -0.02, 12, 26), before, after)
    assert said.startswith("Before training two tails fit: KS distance 0.1 on 12 eigenvalues, 0.02 more on 26.")


@pytest.mark.parametrize(("tails", "known"), [((12, 16), 20), ((40, 42), 41)], ids=["too far", "near to both"])
def test_a_tail_that_the_curve_does_not_hold_is_not_made_up(tails, known):
    curve = SpectrumCurve(sizes=(known,), eigenvalues=(1.0,), ks_distances=(0.1,))
    before, after = (spectrum(tail, 0.1, curve=curve) for tail in tails)
    change = alpha_change(5, 0.1, *tails)
    said = explain_tail(change, before, after)
    went = "The fitted tail went from {} to {} eigenvalues. The spectrum itself moved "
    assert said.startswith(went.format(*tails))
    assert explain_tail(change, None, None) == said


def test_a_tail_that_kept_its_size_needs_no_explanation():
    assert explain_tail(alpha_change(5, 5, 12, 12), spectrum(12), spectrum(12)) is None
    assert explain_tail(None, None, None) is None


@pytest.fixture
def page():
    base = record("base", layer(HOSTILE, None), layer(QUERY, None))
    changes = layer(HOSTILE, alpha_change(-78.0, -0.02, 60, 39)), layer(QUERY, alpha_change(nan, 1.0))
    return render_html(findings(base, trained("stance", *changes, stance="a"), trained("sham", *changes)))


def test_the_largest_change_of_each_training_is_told_before_any_script_runs(page):
    table = page[page.index('id="largest-changes"') : page.index('id="data-structure"')]
    rows = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)]
    layer_name = "model.layers.1.&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"
    assert rows[1:] == [
        f"{training} (documented) {layer_name} −78.00 % −0.0200 % tail flip 60 → 39 0.01" for training in ("a", "sham")
    ]
    assert re.findall(r'href="#(spectrum-[^"]+)"', table) == ["spectrum-0-0-0", "spectrum-0-1-0"]


@pytest.mark.parametrize("section", ["structure", "spectra"])
def test_the_scripts_data_is_json_that_cannot_end_its_element(page, section):
    (text,) = re.findall(rf'<script type="application/json" id="data-{section}">(.*?)</script>', page, re.DOTALL)
    (model,) = json.loads(text, parse_constant=pytest.fail)
    assert len(model["trainings"]) == 2


def test_nothing_trained_is_said_and_without_any_alpha_there_are_maps_and_no_table(page):
    said = "<p>Nothing was trained.</p>"
    without = render_html(findings(record("base"), trained("sham", layer(QUERY, None))))
    parts = (said, 'id="layer-maps"', 'id="largest-changes"')
    assert [part in page for part in parts] == [False, True, True]
    assert [part in without for part in parts] == [False, True, False]
    assert said in render_html(findings(record("base")))


def test_the_layer_that_decided_a_verdict_leads_to_its_spectra(whole_run):
    structure = describe_structure(whole_run)
    page = render_html(whole_run)
    decided = [one for one in whole_run.verdicts if one.layer is not None and one.cells]
    assert decided
    for verdict in decided:
        anchor = structure.anchors[verdict.cells[0], verdict.layer]
        _, model, _, layer = anchor.split("-")
        shown = structure.maps[int(model)]
        assert shown["layers"][int(layer)] == verdict.layer
        assert f'<a href="#{anchor}">{verdict.layer}</a>' in page
    assert len(set(structure.anchors.values())) == len(structure.anchors)
