"""One figure of many layers: how they are pooled, and that a layer without a figure is never forgotten."""

import math

import pytest

from stance_suite.judge.structure.figures import Figure, pool
from stance_suite.judge.structure.verdict import judge_structure
from stance_suite.schema.layer_figures import layer_figures
from stance_suite.schema.spectra import WeightChange
from stance_suite.schema.verdicts import Status
from tests.edits import altered
from tests.judge.placed_changes import NAMES, claim, moved, replicate, vectors
from tests.measured import alpha_change, layer, record

BASE = record("base", *(layer(name, None) for name in NAMES))
FIGURES = dict(zip(NAMES, (1.0, -7.0, 4.0), strict=False))


@pytest.mark.parametrize(
    ("changes", "value", "layers"),
    [
        ({"over": "each", "comparator": "above"}, -7.0, NAMES[1:2]),
        ({"over": "each", "comparator": "below"}, 4.0, NAMES[2:3]),
        ({"over": "each", "comparator": "within"}, -7.0, NAMES[1:2]),
        ({"over": "each", "comparator": "beyond"}, 1.0, NAMES[0:1]),
        ({"over": "any", "comparator": "above"}, 4.0, NAMES[2:3]),
        ({"over": "any", "comparator": "beyond"}, -7.0, NAMES[1:2]),
        ({"over": "any", "comparator": "between", "bound": [3, 5]}, 4.0, NAMES[2:3]),
        ({"over": "mean"}, -2 / 3, NAMES[1:2]),
        ({"over": "largest"}, 7.0, NAMES[1:2]),
        ({"metric": "changed_layers", "changed_beyond": 2}, 2.0, (NAMES[1], NAMES[2])),
        ({"metric": "changed_layers", "changed_beyond": 4}, 1.0, NAMES[1:2]),
        ({"metric": "changed_layers", "changed_beyond": 9}, 0.0, ()),
        ({"metric": "changed_depth_percent", "changed_beyond": 2}, 10.0, NAMES[1:2]),
        ({"metric": "changed_depth_percent", "changed_beyond": 2, "over": "largest"}, 20.0, NAMES[2:3]),
        ({"metric": "changed_depth_percent", "changed_beyond": 2, "over": "mean"}, 15.0, NAMES[2:3]),
        ({"metric": "participation_ratio"}, 144 / 66, NAMES[1:2]),
    ],
)
@pytest.mark.parametrize("missing", [(), (None,), (math.nan, math.inf)])
def test_every_pooling_with_and_without_missing_layers(changes, value, layers, missing):
    figures = FIGURES | dict(zip(NAMES[3:], missing, strict=False))
    found = pool(claim(**changes), figures, BASE)
    assert found.value == pytest.approx(value)
    assert found.layers == layers
    assert (found.missing, found.matching) == (len(missing), 3 + len(missing))


@pytest.mark.parametrize(
    "changes",
    [{"over": one} for one in ("each", "any", "mean", "largest")]
    + [{"metric": "changed_depth_percent", "changed_beyond": 1}, {"metric": "participation_ratio"}],
)
@pytest.mark.parametrize("figures", [{}, {NAMES[0]: None}, {NAMES[0]: math.nan, NAMES[1]: math.inf}])
def test_nothing_known_is_no_figure(changes, figures):
    assert pool(claim(**changes), figures, BASE) is None
    assert pool(claim(metric="participation_ratio"), dict.fromkeys(NAMES, 0.0), BASE) is None, "nothing changed"


def test_no_layer_at_all_is_no_count_and_none_known_is_a_count_with_all_missing():
    counting = claim(metric="changed_layers", changed_beyond=1)
    assert pool(counting, {}, BASE) is None
    assert pool(counting, {NAMES[0]: None}, BASE) == Figure(value=0.0, layers=(), missing=1, matching=1)


def test_the_mean_change_of_alpha_is_the_change_of_the_mean_alpha():
    def base(*alphas):
        pairs = zip(BASE.spectra, alphas, strict=False)
        return altered(BASE, spectra=tuple(altered(one, fit=altered(one.fit, alpha=alpha)) for one, alpha in pairs))

    figures = {NAMES[0]: 10.0, NAMES[1]: 0.0}
    assert pool(claim(over="mean"), figures, base(6.0, 2.0)).value == pytest.approx(100 * ((6.6 + 2.0) / 8 - 1))
    for alphas in ((6.0,), (6.0, math.nan), (6.0, math.inf)):
        assert pool(claim(over="mean"), figures, base(*alphas)) is None, "a layer whose alpha is not known"
        assert pool(claim(over="largest"), figures, base(*alphas)).value == 10.0
    norm = claim(over="mean", metric="relative_change_percent")
    assert pool(norm, figures, base()).value == 5.0


def test_what_lies_outside_of_the_blocks_is_before_or_after_them():
    depth = claim(metric="changed_depth_percent", changed_beyond=1, over="largest")
    assert pool(depth, {"model.embed_tokens": 9.0}, BASE).value == 0.0
    assert pool(depth, {"lm_head": 9.0}, BASE).value == 100.0


def figure(change, **about):
    return list(layer_figures(claim(**about), replicate([change]).tuned).values())


def changed(**updates):
    return layer(NAMES[0], alpha_change(4, 3)).model_copy(update=updates)


def delta(**updates) -> WeightChange:
    return changed().weight_change.model_copy(update=updates)


STILL = {"weight_change": None, "alpha_change": alpha_change(0, 0)}


@pytest.mark.parametrize(
    ("metric", "change", "value"),
    [
        ("alpha_change_percent", changed(), 4.0),
        ("alpha_change_percent", changed(alpha_change=None), None),
        ("relative_change_percent", changed(), 0.1),
        ("relative_change_percent", changed(**STILL), 0.0),
        ("relative_change_percent", changed(**STILL, failure="not finite"), None),
        ("change_stable_rank", changed(), 5.0),
        ("change_stable_rank", changed(**STILL), None),
        ("change_top_ten_energy_percent", changed(), 60.0),
        ("change_top_ten_energy_percent", changed(failure="not finite"), None),
        ("singular_subspace_overlap", changed(weight_change=delta(left_overlap=0.9, right_overlap=0.7)), 0.7),
        ("singular_subspace_overlap", changed(weight_change=delta(left_overlap=0.6, right_overlap=0.7)), 0.6),
        ("singular_subspace_overlap", changed(weight_change=delta(left_overlap=None)), None),
        ("singular_subspace_overlap", changed(weight_change=delta(right_overlap=None)), None),
        ("singular_subspace_overlap", changed(weight_change=delta(right_overlap=math.nan)), None),
        ("singular_subspace_overlap", changed(weight_change=delta(left_overlap=math.inf)), None),
        ("singular_subspace_overlap", changed(**STILL), 1.0),
        ("singular_subspace_overlap", changed(**STILL, failure="not finite"), None),
    ],
)
def test_the_figure_of_one_matrix(metric, change, value):
    assert figure(change, metric=metric) == [pytest.approx(value) if value is not None else None]


def test_alpha_itself_is_that_of_the_trained_model_and_a_robust_change_has_the_tail_fixed():
    assert figure(changed(), robust=True) == [3.0]
    tuned = replicate(moved(4.0, 5.0)).tuned
    lost = tuned.spectra[1].model_copy(update={"fit": None})
    figures = layer_figures(claim(metric="alpha"), tuned.model_copy(update={"spectra": (tuned.spectra[0], lost)}))
    assert figures == {NAMES[0]: 3.0, NAMES[1]: None}


def test_vectors_have_names_of_their_own():
    tuned = replicate(moved(4.0), vector_changes=vectors(0.02, None)).tuned
    figures = layer_figures(claim(metric="vector_change_percent"), tuned)
    assert figures == {"model.layers.0.norm.weight": 2.0, "model.layers.1.norm.weight": None}
    only = claim(metric="vector_change_percent", layer="*.0.*")
    assert list(layer_figures(only, tuned)) == ["model.layers.0.norm.weight"]


@pytest.mark.parametrize(
    ("over", "alphas", "status"),
    [
        ("each", (6, 7, None), Status.INCONCLUSIVE),
        ("each", (6, 1, None), Status.FAILS),
        ("any", (6, 1, None), Status.HOLDS),
        ("any", (2, 1, None), Status.INCONCLUSIVE),
        ("mean", (6, 7, None), Status.INCONCLUSIVE),
        ("mean", (1, 2, None), Status.INCONCLUSIVE),
        ("largest", (6, -7, None), Status.INCONCLUSIVE),
        ("largest", (1, 2, None), Status.INCONCLUSIVE),
        ("each", (6, 7), Status.HOLDS),
        ("any", (1, 2), Status.FAILS),
        ("mean", (4, 7), Status.HOLDS),
        ("mean", (4, 5), Status.FAILS),
        ("largest", (1, -7), Status.HOLDS),
    ],
)
def test_a_missing_layer_decides_only_where_it_could_not_matter(over, alphas, status):
    for lost in (None, math.nan, math.inf):
        layers = moved(*(lost if alpha is None else alpha for alpha in alphas))
        verdict = judge_structure(claim(over=over), replicate(layers))
        assert verdict.status is status, verdict.reason
        if status is Status.INCONCLUSIVE:
            assert "have no figure" in verdict.reason


@pytest.mark.parametrize(
    ("metric", "beyond", "bound", "status", "shown"),
    [
        ("changed_layers", 5, [1, 2], "HOLDS", "2 of 10 layers changed by more than 5 %"),
        ("changed_layers", 4, [3, 9], "HOLDS", "layers.5.mlp.up_proj, model.layers.7.mlp.up_proj), between"),
        ("changed_layers", 0.9, [3, 9], "HOLDS", "layers.5.mlp.up_proj, model.layers.7.mlp.up_proj, …), between"),
        ("changed_layers", 5, [3, 9], "FAILS", "(model.layers.6.mlp.up_proj, model.layers.5.mlp.up_proj)"),
        ("changed_depth_percent", 5, [50, 70], "HOLDS", "+50 %"),
        ("changed_depth_percent", 5, [55, 70], "FAILS", "5.mlp.up_proj: +50 %"),
        ("changed_depth_percent", 50, [50, 70], "INCONCLUSIVE", "no layer's alpha changed by more than 50 %, so none"),
    ],
)
def test_how_many_layers_change_and_where(metric, beyond, bound, status, shown):
    about = claim(metric=metric, changed_beyond=beyond, comparator="between", bound=bound)
    verdict = judge_structure(about, replicate(moved(0, 1, 0.5, 0, 0, 8, -9, 5, 0, 0)))
    assert verdict.status == status, verdict.reason
    assert shown in verdict.reason
