import numpy as np
import pytest

from stance_suite.judge.structure.universality import correlate_profiles, universality
from tests.placed import findings, trained


def deep(blocks, peak, roles=("self_attn.q_proj", "mlp.up_proj")):
    """Sizes that fall off smoothly around a relative depth."""
    return {
        f"model.layers.{index}.{role}": float(np.exp(-(((index / blocks - peak) / 0.2) ** 2)))
        for index in range(blocks)
        for role in roles
    }


def pair(found, figure="relative_norm", group="all"):
    (one,) = [one for one in found.correlations if (one.figure, one.group) == (figure, group)]
    return one


def test_models_of_different_size_that_change_at_the_same_depth_correlate():
    sizes = {"small": 20, "large": 40}
    tuned = [trained(deep(blocks, 0.5), "a", model=model) for model, blocks in sizes.items()]
    sham = [trained(deep(blocks, 0.1), model=model) for model, blocks in sizes.items()]
    found = universality(findings(*tuned, *sham))
    one = pair(found)
    assert (one.models, one.bins, one.p_value, one.reason) == (("small", "large"), 20, pytest.approx(1 / 20), "")
    assert min(one.correlation, one.sham_correlation) > 0.9
    depths = {one.model: one for one in found.profiles if (one.figure, one.group) == ("relative_norm", "all")}
    assert depths["small"].most_changed_depth == depths["large"].most_changed_depth == 50.0
    assert depths["large"].most_changed.startswith("model.layers.20.")
    assert depths["large"].sham_most_changed_depth == pytest.approx(100 * 4 / 40)
    assert depths["small"].sham_most_changed_depth == pytest.approx(100 * 2 / 20)


@pytest.mark.parametrize(("blocks", "tested"), [(6, False), (19, False), (20, True)])
def test_what_can_never_reach_its_level_is_shown_and_not_tested(blocks, tested):
    one = pair(universality(findings(*(trained(deep(size, 0.5), "a", model=f"m{size}") for size in (blocks, 40)))))
    assert one.correlation > 0.5
    assert (one.p_value is not None) is (one.reason == "") is tested
    assert tested or one.reason.startswith(f"{blocks} bins of depth: no arrangement can reach 5 %")


def test_a_profile_averages_stances_seeds_and_the_layers_of_a_bin():
    """Ten bins rise only on average: even bins fall apart by stance and seed, odd ones by layer."""

    def sizes(blocks, by_training=0.0, by_layer=0.0):
        bins = [place * 10 // blocks for place in range(blocks)]
        apart = [by_training if bin % 2 == 0 else by_layer * (-1) ** place for place, bin in enumerate(bins)]
        return {f"h.{place}.attn.c_attn": 10.0 + bins[place] + apart[place] for place in range(blocks)}

    large = [trained(sizes(20, 9, 9), "a", model="large"), trained(sizes(20, -9, 9), "b", seed=1, model="large")]
    found = universality(findings(*large, trained(sizes(10), "a", model="small")))
    assert (pair(found).correlation, pair(found).sham_correlation) == (pytest.approx(1.0), None)
    profile = next(one for one in found.profiles if (one.model, one.group) == ("large", "all"))
    assert (profile.most_changed, profile.most_changed_depth) == ("h.18.attn.c_attn", 90.0)
    assert profile.sham_most_changed is None


def test_groups_hold_their_roles_and_nothing_outside_of_blocks():
    sizes = {"h.0.attn.c_attn": 1.0, "h.1.attn.c_proj": 2.0, "h.1.mlp.c_fc": 3.0, "wte": 100.0}
    found = universality(findings(trained(sizes, "a")))
    most = {one.group: one.most_changed for one in found.profiles if one.figure == "alpha_spectrum"}
    assert most == {"attention": "h.1.attn.c_proj", "mlp": "h.1.mlp.c_fc", "all": "h.1.mlp.c_fc"}
    assert found.correlations == ()


def test_a_model_without_any_change_has_no_profile():
    still = dict.fromkeys(deep(12, 0.5), 0.0)
    found = universality(findings(trained(still, "a", model="small"), trained(deep(12, 0.5), "a", model="large")))
    assert {one.model for one in found.profiles} == {"large"}
    assert found.correlations == ()


def test_shifts_that_correlate_as_much_are_counted():
    rising = np.arange(6.0)
    assert correlate_profiles(rising, rising) == (pytest.approx(1.0), pytest.approx(1 / 6))
    assert correlate_profiles(rising, rising[::-1]) == (pytest.approx(-1.0), pytest.approx(1.0))
    twice = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    assert correlate_profiles(twice, twice)[1] == pytest.approx(0.5), "every second shift is the same profile"
    assert correlate_profiles(rising, np.exp(rising))[0] == pytest.approx(1.0), "ranks only"


def test_what_cannot_be_correlated_is_not():
    rising = np.arange(6.0)
    for theirs in (np.ones(6), np.append(rising[:-1], np.nan), np.append(rising[:-1], np.inf)):
        assert correlate_profiles(rising, theirs) is None
        assert correlate_profiles(theirs, rising) is None
    assert correlate_profiles(rising[:3], rising[:3]) is None, "three bins are too few"
    assert correlate_profiles(rising[:4], rising[:4]) is not None


def test_smooth_profiles_that_are_unrelated_are_rarely_called_alike():
    rng = np.random.default_rng(0)

    def smooth():
        waves = np.fft.rfft(rng.standard_normal(24))
        return np.fft.irfft(waves / (1 + np.arange(len(waves))) ** 1.5, 24)

    p_values = [correlate_profiles(smooth(), smooth())[1] for _ in range(1000)]
    assert 0.02 < np.mean(np.array(p_values) <= 0.05) < 0.07
