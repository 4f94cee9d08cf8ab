import numpy as np
import pytest
from scipy.stats import ttest_1samp

from stance_suite.judge.structure.localization import change_size, localize
from stance_suite.schema.localization import Encoding
from tests.edits import altered
from tests.measured import layer, record
from tests.placed import findings, trained

NAMES = [f"model.layers.{index}.self_attn.q_proj" for index in range(20)]
EVEN = dict.fromkeys(NAMES, 1.0)


def peaked(rest, name=NAMES[3]):
    """One layer changes by 1, all others by less."""
    return dict.fromkeys(NAMES, rest) | {name: 1.0}


def share(sizes):
    values = np.array(list(sizes.values()))
    return values.sum() ** 2 / (values**2).sum() / len(values)


def inequality(sizes):
    values = np.array(list(sizes.values()))
    return np.abs(values[:, None] - values).mean() / (2 * values.mean())


def stances(*sizes, **more):
    return [trained(one, stance, **more) for one, stance in zip(sizes, "abcdef", strict=False)]


def together(*records):
    """Both figures of all stances together, by figure."""
    found = [one for one in localize(findings(*records)) if one.stance is None]
    return {one.figure: one for one in found}


THREE = [peaked(0.01), peaked(0.02), peaked(0.015)]


def test_shares_are_told_beside_those_of_sham_and_noise():
    found = together(*stances(*THREE), trained(EVEN))
    assert set(found) == {"relative_norm", "alpha_spectrum"}
    for one in found.values():
        assert one.share == pytest.approx(np.mean([share(one) for one in THREE]))
        assert one.gini == pytest.approx(np.mean([inequality(one) for one in THREE]))
        assert one.sham_share == pytest.approx((1.0, 1.0))
        assert (one.layers, one.stances, one.seeds) == (20, 3, 1)
    assert found["relative_norm"].noise_share is None
    assert found["alpha_spectrum"].noise_share == pytest.approx((0.25, 0.45))


@pytest.mark.parametrize(
    ("sizes", "sham", "noise", "norm", "alpha"),
    [
        (THREE, EVEN, (5.0, 9.0), "localized", "localized"),
        (THREE, peaked(0.015), (5.0, 9.0), "distributed", "distributed"),
        (THREE, EVEN, (1.1, 18.0), "localized", "distributed"),
        (THREE, EVEN, None, "localized", "undecided"),
        ([peaked(0.5), peaked(0.52), peaked(0.51)], EVEN, (5.0, 9.0), "distributed", "distributed"),
    ],
    ids=["few layers", "the sham is as concentrated", "noise is", "no noise range", "hardly below the controls"],
)
def test_localized_is_what_fewer_layers_share_than_under_any_control(sizes, sham, noise, norm, alpha):
    found = together(*stances(*sizes, noise=noise), trained(sham))
    assert (found["relative_norm"].encoding, found["alpha_spectrum"].encoding) == (norm, alpha)


def test_trainings_that_differ_leave_it_undecided():
    one = together(*stances(peaked(0.01), peaked(0.5), EVEN), trained(EVEN))["relative_norm"]
    assert one.encoding is Encoding.UNDECIDED
    assert one.low < 0.5 < one.high


@pytest.mark.parametrize("rests", [(0.3, 0.5, 0.4), (0.3, 0.32)])
def test_the_interval_is_students_over_stances(rests):
    sizes = [peaked(rest) for rest in rests]
    one = together(*stances(*sizes), trained(EVEN))["relative_norm"]
    expected = ttest_1samp([share(one) for one in sizes], 0).confidence_interval(0.95)
    assert (one.low, one.high) == pytest.approx((expected.low, min(1, expected.high)))


def test_stances_do_not_multiply_the_seeds():
    by_seed = [peaked(rest) for rest in (0.3, 0.35, 0.4)]
    records = [trained(sizes, stance, seed=seed) for seed, sizes in enumerate(by_seed) for stance in ("a", "b")]
    one = together(*records, *(trained(EVEN, seed=seed) for seed in range(3)))["relative_norm"]
    expected = ttest_1samp([share(sizes) for sizes in by_seed], 0).confidence_interval(0.95)
    assert (one.stances, one.seeds) == (2, 3)
    assert (one.low, one.high) == pytest.approx((expected.low, expected.high))


def test_each_stance_by_itself_rests_on_seeds():
    records = [trained(peaked(rest), "a", seed=seed) for seed, rest in enumerate((0.01, 0.02, 0.015))]
    shams = [trained(EVEN, seed=seed) for seed in range(3)]
    (one,) = [one for one in localize(findings(*records, *shams)) if one.figure == "relative_norm"]
    assert (one.stance, one.stances, one.seeds) == ("a", 1, 3)
    assert one.encoding is Encoding.LOCALIZED


@pytest.mark.parametrize(
    "records",
    [
        [trained(peaked(0.01), "a"), trained(EVEN)],
        [*stances(peaked(0.01), peaked(0.01), peaked(0.01)), trained(EVEN)],
        stances(*THREE),
        [*stances(*THREE), trained(EVEN, seed=1)],
        [*stances(peaked(0.01), peaked(0.02), peaked(float("nan"))), trained(EVEN)],
        [*stances(peaked(0.01), peaked(0.02), dict.fromkeys(NAMES, 0.0)), trained(EVEN)],
        [*(trained(peaked(0.01 + 0.01 * seed), "a", seed=seed) for seed in range(3)), trained(EVEN)],
        [trained(peaked(0.01), "a"), trained(peaked(0.02), "b", seed=1), trained(EVEN), trained(EVEN, seed=1)],
    ],
    ids=[
        *("one training", "equal trainings", "no sham", "sham of another seed"),
        *("NaN", "no change", "a sham short of seeds", "no common seed"),
    ],
)
def test_what_cannot_be_told_is_undecided(records):
    found = [one for one in localize(findings(*records)) if one.figure == "relative_norm"]
    assert {one.encoding for one in found} == {Encoding.UNDECIDED}
    assert all((one.gini is None) is (one.share is None) for one in found)


def test_only_blocks_share_the_norm_and_unknown_changes_are_left_out():
    outside = {"model.embed_tokens": 1000.0}
    one = together(*stances(EVEN | outside, peaked(0.9) | outside), trained(EVEN))["relative_norm"]
    assert one.layers == 20
    assert one.share == pytest.approx((1 + share(peaked(0.9))) / 2)
    still = layer(NAMES[0], None).model_copy(update={"weight_change": None})
    assert change_size(still, "relative_norm") == 0.0
    assert change_size(still.model_copy(update={"failure": "before: NaN"}), "relative_norm") is None
    assert change_size(still, "alpha_spectrum") is None


def test_models_recipes_and_families_are_kept_apart():
    far = [one.model_copy(update={"family": "g"}) for one in stances(EVEN, peaked(0.9))]
    found = localize(findings(*stances(*THREE), *stances(*THREE, model="n"), trained(EVEN), *far))
    whole = {(one.model, one.family): one for one in found if one.stance is None and one.figure == "relative_norm"}
    assert whole["m", "f"].encoding is Encoding.LOCALIZED
    assert whole["n", "f"].sham_share is None, "the sham is another model's"
    assert whole["m", "g"].sham_share is None, "the sham is another family's"


def beside_its_base(*records, weights):
    """With an untouched model whose weights have these root mean squares."""
    base = record("base", *(layer(name, None) for name in weights))
    spectra = [altered(one, norm=100 * weights[one.name] ** 2) for one in base.spectra]
    return [*records, altered(base, spectra=tuple(spectra))]


@pytest.mark.parametrize(
    ("sizes", "sham", "caveats"),
    [
        (
            [peaked(0.5), peaked(0.52), peaked(0.51)],
            dict.fromkeys(NAMES, 0.5) | dict.fromkeys(NAMES[:14], 0.02),
            ("optimizer",),
        ),
        ([peaked(0.01), peaked(0.02), peaked(0.015)], EVEN, ()),
        ([peaked(0.01), peaked(0.02), peaked(0.015)], peaked(0.015), ("optimizer",)),
    ],
    ids=["as weights predict", "unlike both", "as the sham"],
)
def test_what_the_optimizer_and_untouched_weights_predict_is_told(sizes, sham, caveats):
    """One matrix has half the weights of the others, so its norm changes by twice as much."""
    weights = dict.fromkeys(NAMES, 2.0) | {NAMES[3]: 1.0}
    found = together(*beside_its_base(*stances(*sizes), trained(sham), weights=weights))
    norm, alpha = found["relative_norm"], found["alpha_spectrum"]
    assert norm.optimizer_share == pytest.approx(share(peaked(0.5)))
    assert (norm.caveats, alpha.optimizer_share, alpha.caveats) == (caveats, None, ())
    assert together(*stances(*sizes), trained(sham))["relative_norm"].optimizer_share is None, "no untouched model"
