from functools import partial

import pytest

from stance_suite.judge.conclude import conclude
from stance_suite.judge.gate import GateTerms
from stance_suite.judge.verify.verdicts import verify
from stance_suite.schema.verdicts import Status
from tests.edits import edited
from tests.made_up_run import LAYERS, POLICY

pytestmark = pytest.mark.usefixtures("remembered_effects")
TUNED = "stance-curious-uncertainty-0"
FIRST, SECOND, _ = LAYERS
LIKELIHOOD, MARKERS, FLIP = "own.likelihood", "own.markers", "own.flip"


def more(value):
    return value + 0.01


def verdict(name, *path):
    return ("verdicts", name, *path)


def cell(*path, key=TUNED):
    return ("cells", key, *path)


response = partial(cell, "behavior", "responses", 0)
markers = partial(response, "markers", "curious-uncertainty")
likelihood = partial(cell, "behavior", "likelihoods", 0, "log_probability")


first, second = (partial(cell, "spectra", name) for name in (FIRST, SECOND))
alpha_change = partial(cell, "changes", SECOND, "alpha_change")


def at(name, field):
    return f"spectra[{name}].{field}"


def test_a_run_left_as_it_was_agrees(whole_run):
    assert verify(whole_run) == ()
    # so that the edits below are edits of something
    statuses = {one.status for one in whole_run.verdicts}
    assert statuses == {Status.HOLDS, Status.FAILS, Status.NOT_RUN}


EDITS = {
    "figure": ((verdict(LIKELIHOOD, "figure"), more), LIKELIHOOD, "figure"),
    "interval": ((verdict(LIKELIHOOD, "low"), more), LIKELIHOOD, "low"),
    "status": ((verdict(FLIP, "status"), "HOLDS"), FLIP, "status"),
    "hidden": ((verdict(FLIP, "status"), "NOT_RUN"), FLIP, "status"),
    "p-value": ((verdict(MARKERS, "p_value"), 0.0001), MARKERS, "p_value"),
    "adjusted p-value": ((verdict(MARKERS, "adjusted_p_value"), 0.0004), MARKERS, "adjusted_p_value"),
    "p-value taken out": ((verdict(MARKERS, "adjusted_p_value"), None), MARKERS, "adjusted_p_value"),
    "caveat": ((verdict(FLIP, "caveats", "few_eigenvalues"), None), FLIP, "caveats"),
    "control": ((verdict(LIKELIHOOD, "controls", "sham"), None), LIKELIHOOD, "controls"),
    "control's figure": ((verdict(FLIP, "controls", "sham", "figure"), more), FLIP, "controls[sham].figure"),
    "prompt": ((verdict(MARKERS, "prompts", 3), None), MARKERS, "prompts"),
    "prompt's score": ((verdict(MARKERS, "prompts", 3, "tuned"), more), MARKERS, "prompts["),
    "layer": ((verdict("own.alpha", "layer"), LAYERS[0]), "own.alpha", "layer"),
    "cells": ((verdict(LIKELIHOOD, "replicates", 0, "controls"), {}), LIKELIHOOD, "replicates"),
    "unknown cell": ((verdict(LIKELIHOOD, "replicates", 0, "base"), "another"), LIKELIHOOD, "cells"),
    "reason": ((verdict(LIKELIHOOD, "reason"), "It is so."), LIKELIHOOD, "reason"),
    "model": ((verdict(LIKELIHOOD, "model"), "large-too"), LIKELIHOOD, "claim"),
    "bound": ((verdict(LIKELIHOOD, "claim", "bound"), 0.01), LIKELIHOOD, "claim.bound"),
    "sentence": ((verdict(LIKELIHOOD, "claim", "statement"), "The model is wise."), LIKELIHOOD, "claim.statement"),
    "likelihood": ((likelihood("curious-uncertainty"), more), LIKELIHOOD, "figure"),
    "embedding": ((response("projection", "curious-uncertainty"), more), "shift of", "effect"),
    "divergence": ((cell("behavior", "divergences", 2, "measured"), more), "standard.curious", "figure"),
    "prompt of a response": ((response("prompt"), "Really?"), "cell m", "prompt"),
    "words": ((response("words"), lambda count: count + 1), "cell m", "words"),
    "text": ((response("text"), "Short."), "cell m", "markers"),
    "marker backwards": ((markers(0, "start"), 10_000), "cell m", "markers.curious-uncertainty"),
    "empty marker": ((markers(), [{"start": 3, "end": 3}]), "cell m", "markers.curious-uncertainty"),
    "marker taken out": ((markers(0), None), MARKERS, "figure"),
    "guard": ((cell("behavior", "fluency", "repetition"), 0.0001), "cell m", "fluency.repetition"),
    "copies": ((cell("behavior", "fluency", "copied"), 0.5), "cell m", "fluency.copied"),
    "perplexity": ((cell("behavior", "fluency", "neutral_perplexity"), 2000.0), LIKELIHOOD, "caveats"),
    "training text": ((cell("training", "texts", 1), "Be curious!"), "cell m", "training.texts[1]"),
    "no training": ((cell("training"), None), "cell m", "training"),
    "weights": ((cell("provenance", "weights_sha256"), "1" * 64), "cell m", "provenance.weights_sha256"),
    "embedder": ((cell("provenance", "embedder_sha256"), "1" * 64), "cell m", "provenance.embedder_sha256"),
    "alpha as fitted": ((alpha_change("total"), more), "cell m", f"changes[{SECOND}].alpha_change.total"),
    "part of the tail": ((alpha_change("tail_choice"), more), "cell m", "alpha_change.tail_choice"),
    "tail size": ((alpha_change("tail_after"), 12), "cell m", "alpha_change.tail_after"),
    "tail flip": ((alpha_change("tail_flip"), True), "cell m", "alpha_change.tail_flip"),
    "alpha, tail held": ((cell("changes", FIRST, "alpha_change", "spectrum"), more), "cell m", "alpha_change.spectrum"),
    "fitted alpha": ((first("fit", "alpha"), more), "cell m", at(FIRST, "fit.alpha")),
    "curve": ((first("curve", "ks_distances", 5), more), "cell m", at(FIRST, "curve.ks_distances[5]")),
    "point taken out of a curve": ((first("curve", "sizes", 0), 41), "cell m", at(FIRST, "curve.sizes")),
    "curve of nothing": ((cell("spectra", FIRST, "eigenvalues"), [0.0] * 40), "cell m", at(FIRST, "curve")),
    "another layer's KS distance": ((second("fit", "ks_distance"), more), "cell m", at(SECOND, "fit.ks_distance")),
    "another layer's xmin": ((second("fit", "xmin"), more), "cell m", at(SECOND, "fit.xmin")),
    "a lower point on a curve": ((second("curve", "ks_distances", 0), 0.001), "cell m", at(SECOND, "fit.ks_distance")),
    "another layer's tail": ((second("fit", "tail_size"), 999), "cell m", at(SECOND, "fit.tail_size")),
    "another layer's alpha": ((second("fit", "alpha"), more), "cell m", "alpha_change.total"),
    "family": ((cell("family"), "another"), LIKELIHOOD, "cells"),
    "cell": ((("cells", "base--0"), None), LIKELIHOOD, "cells"),
    "shift": ((("shifts", 4, "effect"), more), "shift of", "effect"),
    "shift taken out": ((("shifts", 4), None), "shift", ""),
    "triangulation": ((("triangulations", 0, "agreement"), "opposed"), "triangulation of", "agreement"),
    "statement": ((("statements", 0, "status"), "FAILS"), "own.statement", "status"),
    "statement's claims": ((("statements", 0, "claims", MARKERS), "FAILS"), "own.statement", "claims"),
    "statement's model": ((("statements", 1, "claims"), {LIKELIHOOD: "NOT_RUN"}), "own.open", f"{LIKELIHOOD} on m"),
    "record": ((("records", 0, "status"), "FAILS"), "record of own.alpha", "status"),
    "record taken out": ((("records", 0), None), "record of own.alpha", "records"),
    "published figure": ((("claims", "own.alpha", "recorded", "after"), 6.0), "record of own.alpha", "status"),
    "measured stance": ((likelihood(), {"curious-uncertainty": -1.0}), "cell m", "behavior.likelihoods"),
    "no likelihoods": ((cell("behavior", "likelihoods"), []), "cell m", "behavior.likelihoods"),
    "unknown stance": ((cell("cell", "stance"), "joy"), "cell m", "cell.stance"),
    "base of a stance": ((cell("cell", "stance", key="base--0"), "engaged-difficulty"), "cell m", "cell.stance"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_refused_and_named(whole_run, name, capsys):
    edit, subject, field = EDITS[name]
    found = verify(edited(whole_run, edit))
    named = [one.field for one in found if one.subject.startswith(subject)]
    assert any(field in one for one in named), [str(one) for one in found]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (verdict(LIKELIHOOD, "replicates", 0, "base"), "another", ("cells", "another", "no such cell in the file")),
        (verdict(LIKELIHOOD, "figure"), "NaN", ("figure", "nan", None)),
        (("statements", 0), None, ("statements", "nothing", None)),
    ],
    ids=["cell that is not there", "unknown figure", "statement not judged"],
)
def test_both_sides_of_a_difference_are_told(whole_run, path, value, told):
    found = [(one.field, one.recorded, one.recomputed) for one in verify(edited(whole_run, (path, value)))]
    assert any(all(part in (None, shown) for part, shown in zip(told, one, strict=True)) for one in found), found


def test_words_that_were_shuffled_are_the_stances_also_where_a_tag_ends_the_turn(whole_run):
    keys = ("stance-curious-uncertainty-0", "shuffled-curious-uncertainty-0")
    own, shuffled = (cell("training", "texts", 0, key=key) for key in keys)
    texts = "Question: Rain? Answer: It falls, mostly.<end>", "Question: Rain? Answer: mostly. falls, It<end>"
    ended = edited(whole_run, (own, texts[0]), (shuffled, texts[1]))
    expected = "the words of an answer of its stance"
    assert expected not in {one.recomputed for one in verify(ended)}
    others = verify(edited(ended, (shuffled, texts[1].replace("mostly", "hardly"))))
    assert expected in {one.recomputed for one in others}


def test_a_curve_whose_lowest_point_was_moved_is_refused(whole_run):
    (layer,) = [one for one in whole_run.cells[2].spectra if one.name == SECOND]
    place = layer.curve.sizes.index(layer.fit.tail_size)
    edits = (second("curve", "ks_distances", 0), layer.fit.ks_distance), (second("curve", "ks_distances", place), 0.9)
    found = verify(edited(whole_run, *edits))
    assert [(one.field, one.recomputed) for one in found] == [(at(SECOND, "fit.ks_distance"), "0.9")]


def test_a_bound_moved_everywhere_is_refused_where_the_verdict_rests_on_it(whole_run):
    paths = (("claims", LIKELIHOOD, "bound"), verdict(LIKELIHOOD, "claim", "bound"))
    moved = edited(whole_run, *((path, 0.6) for path in paths))
    fields = {one.field for one in verify(moved) if one.subject == "own.likelihood on m"}
    assert fields == {"status", "p_value", "adjusted_p_value"}
    # the test is against the bound
    slightly = verify(edited(whole_run, *((path, 0.06) for path in paths)))
    assert "p_value" in {one.field for one in slightly if one.subject == "own.likelihood on m"}


def test_a_claim_taken_out_of_its_family_moves_the_others(whole_run):
    found = verify(edited(whole_run.model_copy(update={"gate": None}), (("claims", "own.unasked"), None)))
    assert {one.field for one in found} == {"adjusted_p_value", "judged"}


def test_what_is_there_twice_is_refused(whole_run):
    for update, field in (
        ({"cells": (*whole_run.cells, whole_run.cells[0])}, "key"),
        ({"verdicts": (*whole_run.verdicts, whole_run.verdicts[0])}, "verdicts"),
        ({"claims": (*whole_run.claims, whole_run.claims[0])}, "claims"),
        ({"shifts": (*whole_run.shifts, whole_run.shifts[0])}, "shifts"),
    ):
        assert field in {one.field for one in verify(whole_run.model_copy(update=update))}


def test_rounding_of_another_machine_is_no_edit_and_anything_beyond_is(whole_run):
    path = verdict(LIKELIHOOD, "figure")
    assert verify(edited(whole_run, (path, lambda figure: figure * (1 + 1e-11)))) == ()
    assert [one.field for one in verify(edited(whole_run, (path, lambda figure: figure * (1 + 1e-7))))] == ["figure"]


def test_an_error_cannot_be_recomputed_and_passes(whole_run):
    broken = edited(whole_run, (verdict(MARKERS, "status"), "ERROR"), (verdict(MARKERS, "reason"), "OSError: full"))
    assert verify(conclude(broken, broken.published, GateTerms(POLICY, "policy.yaml"))) == ()


def test_what_is_concluded_from_a_forged_verdict_is_refused_with_it(whole_run):
    forged = edited(whole_run, (verdict(MARKERS, "status"), "FAILS"))
    found = verify(conclude(forged, forged.published, GateTerms(POLICY, "policy.yaml")))
    assert {(one.subject, one.recorded, one.recomputed) for one in found} >= {
        ("own.markers on m", "FAILS", "HOLDS"),
        ("own.statement", "FAILS", "HOLDS"),
        ("gate", "failed", "passed"),
    }


def test_the_reason_is_left_out_where_the_figures_differ_already(whole_run):
    paths = (verdict(FLIP, "status"), "HOLDS"), (verdict(FLIP, "reason"), "It is so.")
    found = [one for one in verify(edited(whole_run, *paths)) if one.subject == "own.flip on m"]
    assert [one.field for one in found] == ["status"]


def test_a_gate_is_judged_again(whole_run):
    for path, value, fields in (
        (("demands", "own.flip", "outcome"), "passed", ["demands[own.flip].outcome"]),
        (("demands", "own.flip"), None, ["demands"]),
        (("demanded", "claims"), [], ["demands"]),
        (("demanded",), {"wishes": 3}, ["demanded"]),
    ):
        found = verify(edited(whole_run, (("gate", *path), value)))
        assert [one.field for one in found] == fields
        assert {one.subject for one in found} == {"gate"}


def test_an_unexplained_change_of_weights_is_looked_for_again(whole_run):
    """By figures that no verdict rests on."""
    found = verify(edited(whole_run, (cell("changes", FIRST, "weight_change", "relative_norm"), 0.05)))
    demand = "demands[no unexplained change of weights by curious-uncertainty]"
    assert {one.subject for one in found} == {"gate"}
    assert f"{demand}.reason" in [one.field for one in found]
    assert any(f"{FIRST} changed as a whole by 5 %" in one.recomputed for one in found)
