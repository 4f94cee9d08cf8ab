"""The audit of two tables says what the spectra say, though it never sees them."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.errors import StanceSuiteError
from stance_suite.spectra.analysis import analyze
from stance_suite.spectra.audit import Finding, audit_tables
from stance_suite.spectra.comparison import compare
from stance_suite.spectra.power_law import alpha_change, fit_power_law
from tests.spectra.reference import weightwatcher_table

ROW = {
    **{"longname": "layer", "alpha": 3.0, "xmin": 1.0, "sigma": 0.05, "num_pl_spikes": 100, "norm": 300.0},
    **{"lambda_max": 20.0, "N": 400, "M": 200, "rf": 1, "status": "success"},
}


def describe(name, eigenvalues, larger_side):
    """A row of the table for a whole spectrum."""
    fit = fit_power_law(eigenvalues)
    figures = {"alpha": fit.alpha, "xmin": fit.xmin, "sigma": fit.sigma, "num_pl_spikes": fit.tail_size}
    sizes = {"N": larger_side, "M": len(eigenvalues), "norm": eigenvalues.sum(), "lambda_max": eigenvalues.max()}
    return ROW | {"longname": name} | figures | sizes


def heavy_tailed_matrix(rng, rows=120, columns=80):
    left, _ = np.linalg.qr(rng.standard_normal((rows, columns)))
    return (left * rng.lognormal(0, 0.5, columns)) @ np.linalg.qr(rng.standard_normal((columns, columns)))[0]


def perturbed_spectra(seed, size, count=24):
    """Name, spectrum before and spectrum after of matrices that noise of a relative size was added to."""
    rng = np.random.default_rng(seed)
    for place in range(count):
        matrix = heavy_tailed_matrix(rng)
        noise = rng.standard_normal(matrix.shape)
        noise *= size * np.linalg.norm(matrix) / np.linalg.norm(noise)
        yield f"layer.{place}", *(np.linalg.eigvalsh(one.T @ one) for one in (matrix, matrix + noise))


def true_flips(spectra):
    changes = {name: alpha_change(fit_power_law(old), fit_power_law(new), new) for name, old, new in spectra}
    return {name for name, change in changes.items() if change.tail_flip}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def audit(folder, before, after):
    paths = folder / "before.csv", folder / "after.csv"
    for path, rows in zip(paths, (before, after), strict=True):
        pd.DataFrame(rows).to_csv(path)
    return audit_tables(*paths)


def audit_spectra(folder, spectra):
    return audit(folder, *([describe(one[0], one[side], 120) for one in spectra] for side in (1, 2)))


def background(count=30):
    """Rows of layers that kept their tails while alpha moved by 0.01 %."""
    before = [ROW | {"longname": f"kept.{place}", "norm": 300.0 + place} for place in range(count)]
    return before, [row | {"alpha": 3.0 * (1 + 1e-4 * (-1) ** place)} for place, row in enumerate(before)]


def audit_one(folder, changed, **given):
    """The audit of one row among layers that kept their tails."""
    before, after = background()
    rows = ROW | given, ROW | given | changed
    return next(layer for layer in audit(folder, [*before, rows[0]], [*after, rows[1]]).layers if layer.name == "layer")


@given(st.integers(0, 2**32 - 1), st.floats(-4, -2))
@settings(max_examples=10, derandomize=True)
def test_wherever_the_audit_is_sure_the_spectra_agree(folder, seed, log_size):
    spectra = list(perturbed_spectra(seed, 10**log_size))
    audited = audit_spectra(folder, spectra)
    assert len(audited.layers) == len(spectra)
    truth = true_flips(spectra)
    for layer in audited.layers:
        if Finding.UNDECIDED not in layer.findings:
            assert (Finding.TAIL_FLIP in layer.findings) == (layer.name in truth), layer


def test_flips_of_small_changes_are_found_and_few_are_undecided(folder):
    spectra = [(f"{seed}.{name}", *sides) for seed in range(40) for name, *sides in perturbed_spectra(seed, 1e-3)]
    truth, audited = true_flips(spectra), audit_spectra(folder, spectra)
    undecided = {layer.name for layer in audited.layers if Finding.UNDECIDED in layer.findings}
    assert len(truth) >= 8
    assert set(audited.tail_flips) == truth
    assert len(undecided) <= 0.2 * len(truth)


MOVED = {"alpha": 3.6, "num_pl_spikes": 80, "xmin": 1.234}
CHANGES = {
    "the tail kept its size": ({"alpha": 3.6}, set(), (0, 0)),
    "far beyond what the spectra moved": (MOVED, {Finding.TAIL_FLIP}, (0.999, 1)),
    "the largest eigenvalue moved": (MOVED | {"lambda_max": 30.0}, {Finding.TAIL_MOVED, Finding.UNDECIDED}, (0, 0.5)),
    "the norm moved": (MOVED | {"norm": 450.0}, {Finding.TAIL_MOVED, Finding.UNDECIDED}, (0, 0.5)),
    "what is left in the tail grew": (MOVED | {"xmin": 1.6}, {Finding.TAIL_MOVED, Finding.UNDECIDED}, (0, 0.5)),
    "much smaller than what the spectra moved": (
        {"alpha": 3.00001, "num_pl_spikes": 99},
        {Finding.TAIL_MOVED, Finding.WITHIN_ERROR},
        (0, 1),
    ),
}


@pytest.mark.parametrize(("changed", "findings", "probability"), CHANGES.values(), ids=CHANGES)
def test_a_flip_is_a_change_of_the_tail_far_beyond_what_the_spectra_moved(folder, changed, findings, probability):
    layer = audit_one(folder, changed)
    assert set(layer.findings) == findings
    assert probability[0] <= layer.flip_probability <= probability[1]
    assert (layer.tail_before, layer.tail_after) == (100, changed.get("num_pl_spikes", 100))
    assert layer.change_percent == pytest.approx(100 * (changed["alpha"] / 3 - 1))
    assert layer.remains == (not findings)


def test_small_eigenvalues_and_steep_tails_move_more(folder):
    """The same noise moves a small eigenvalue relatively more, and a steep tail's alpha more for that."""
    layer = {"num_pl_spikes": 99, "lambda_max": 20.0}
    likely = audit_one(folder, layer | {"alpha": 3.006, "xmin": 1.0065})
    smaller = audit_one(folder, layer | {"alpha": 3.006, "xmin": 0.010065}, xmin=0.01)
    steeper = audit_one(folder, layer | {"alpha": 9.018, "xmin": 1.001536}, alpha=9.0)
    assert 0 < smaller.flip_probability < likely.flip_probability / 2
    assert 0 < steeper.flip_probability < likely.flip_probability / 2


def test_without_a_layer_that_kept_its_tail_nothing_is_decided(folder):
    untouched = ROW | {"longname": "frozen"}
    moved = ROW | {"alpha": 3.6, "num_pl_spikes": 80}
    frozen, layer = audit(folder, [untouched, ROW], [untouched, moved]).layers
    assert frozen.findings == (Finding.WITHIN_ERROR,)
    assert layer.flip_probability is None
    assert layer.findings == (Finding.TAIL_MOVED, Finding.UNDECIDED)


def test_layers_that_were_not_trained_say_nothing_of_those_that_were(folder):
    before, after = background(10)
    moved = [ROW, ROW | {"alpha": 3.006, "num_pl_spikes": 99, "xmin": 1.001}]
    frozen = [ROW | {"longname": f"frozen.{place}", "norm": 1.0 + place} for place in range(500)]
    alone = audit(folder, [*before, moved[0]], [*after, moved[1]]).layers[-1]
    among = audit(folder, [*frozen, *before, moved[0]], [*frozen, *after, moved[1]]).layers[-1]
    assert 0.01 < alone.flip_probability < 0.99
    assert among == alone


@pytest.mark.parametrize(
    ("changed", "given_before", "findings"),
    [
        ({"alpha": 1.9}, {}, (Finding.OUTSIDE_2_TO_6,)),
        ({"alpha": 2.0}, {}, ()),
        ({"alpha": 5.9}, {"alpha": 6.1}, (Finding.OUTSIDE_2_TO_6,)),
        ({"alpha": 6.0}, {"alpha": 4.0}, ()),
        ({"alpha": 3.6}, {"num_pl_spikes": 49}, (Finding.FEW_EIGENVALUES,)),
        ({"alpha": 3.6}, {"num_pl_spikes": 50}, ()),
        ({"alpha": 3.19, "sigma": 0.08}, {"sigma": 0.06}, (Finding.WITHIN_ERROR,)),
        ({"alpha": 3.21, "sigma": 0.08}, {"sigma": 0.06}, ()),
    ],
)
def test_what_explains_a_change_away_and_what_does_not(folder, changed, given_before, findings):
    layer = audit_one(folder, changed, **given_before)
    assert layer.findings == findings
    assert all(finding.meaning for finding in findings)
    assert layer.remains == (findings == ())
    negligible = audit_one(folder, {"alpha": 3.029, "sigma": 0.001}, sigma=0.001)
    assert (negligible.findings, negligible.remains) == ((), False)


def test_rows_that_cannot_be_audited_are_skipped_with_the_reason(folder):
    only_before, only_after = {"gone": {}, "nan": {"alpha": float("nan")}}, {"new": {}, "failed": {"status": "failed"}}
    only_after |= {"minus": {"alpha": -1.0}, "size": {"N": 401}, "flat": {"alpha": 0.5}}
    both = ("layer", "lm_head", "minus", "nan", "failed", "size", "flat")
    before = [ROW | {"longname": name} | only_before.get(name, {}) for name in (*both, "gone")]
    after = [ROW | {"longname": name} | only_after.get(name, {}) for name in (*both, "new")]
    audited = audit(folder, before, after)
    assert [layer.name for layer in audited.layers] == ["layer"]
    assert {row.name: row.reason for row in audited.skipped} == {
        "gone": f"only in {folder / 'before.csv'}",
        "new": f"only in {folder / 'after.csv'}",
        "nan": f"the fit failed in {folder / 'before.csv'}",
        **dict.fromkeys(("minus", "failed", "flat"), f"the fit failed in {folder / 'after.csv'}"),
        "size": "its size is not the same in both tables",
        "lm_head": "has the figures of layer: tied weights",
    }


def test_however_and_by_whomever_the_table_was_written(tmp_path):
    path, table = tmp_path / "table.csv", pd.DataFrame([ROW]).drop(columns="status")
    ours = analyze({f"{name}.weight": torch.randn(60, 40) for name in ("a", "b")}).details
    for written, indexed in ((table, True), (table.set_index("longname"), True), (table, False), (ours, True)):
        written.to_csv(path, index=indexed)
        audited = audit_tables(path, path)
        assert [layer.name for layer in audited.layers] == (["a", "b"] if written is ours else ["layer"])
        assert audited.tail_flips == ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"", "is not a CSV file; write it with details.to_csv"),
        (b"\x80\x81\xff\x00PNG,\n", "is not a CSV file"),
        (b'a,b\n"1,2\n3', "is not a CSV file"),
        (b"1,2\n3,4\n5,6,7,8\n", "is not a CSV file"),
        (b'{"alpha": 3}', "lacks the columns longname, alpha, xmin"),
        (b"longname;alpha;xmin\n", "lacks the columns longname"),
        ([{key: ROW[key] for key in ROW if key not in ("norm", "sigma")}], "lacks the columns sigma, norm;"),
        ([ROW, ROW], "has layer twice in the column longname"),
        ([ROW, ROW | {"longname": None}], "has a row without a name in the column longname"),
        ([ROW | {"alpha": "three"}], "column alpha of layer is 'three', not a number"),
        ([], "lacks the columns"),
    ],
)
def test_what_is_no_whole_table_is_refused(tmp_path, content, told):
    whole, bad = tmp_path / "whole.csv", tmp_path / "bad.csv"
    pd.DataFrame([ROW]).to_csv(whole)
    if isinstance(content, list):
        pd.DataFrame(content).to_csv(bad)
    elif content is not None:
        bad.write_bytes(content)
    for before, after in ((bad, whole), (whole, bad)):
        with pytest.raises(StanceSuiteError, match=told) as raised:
            audit_tables(before, after)
        assert str(bad) in str(raised.value)
        assert "\n" not in str(raised.value)


def test_tables_of_other_models_are_refused(folder):
    with pytest.raises(StanceSuiteError, match=r"before.csv and .*after.csv have no layer in common"):
        audit(folder, [ROW], [ROW | {"longname": "other"}])


@pytest.mark.slow
def test_weightwatchers_tables_give_the_flips_that_the_weights_give(smollm2, tmp_path):
    from stance_suite.models.loading import load

    model = load(smollm2)[0].model.layers[:10]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weightwatcher_table(model).to_csv(tmp_path / "before.csv")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise * (0.002 * parameter.norm() / noise.norm()))
    weightwatcher_table(model).to_csv(tmp_path / "after.csv")
    audited = audit_tables(tmp_path / "before.csv", tmp_path / "after.csv")
    changes = compare(before, model.state_dict(), draws=1).change.layers
    truth = {change.name for change in changes if change.alpha_change.tail_flip}
    assert len(truth) >= 3
    assert set(audited.tail_flips) == truth
    assert len(audited.layers) == 70
