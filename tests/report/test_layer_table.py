import math

import numpy as np
import pandas
import pytest

from stance_suite.errors import StanceSuiteError
from stance_suite.report.layer_table import columns, tensor_table, write_tensor
from stance_suite.schema.spectra import RoundingControl
from tests.edits import altered
from tests.measured import alpha_change, layer, record, vector
from tests.placed import findings, trained

QUERY, EMBEDDING, NORM = "model.layers.3.self_attn.q_proj", "model.embed_tokens", "model.layers.1.norm.weight"
BIAS = "model.layers.1.up_proj.bias"
MATRIX_METRICS = [
    *("alpha_before", "alpha_after", "alpha_change_total", "alpha_change_spectrum", "relative_norm"),
    *("relative_spectral_norm", "change_stable_rank", "change_top_ten_energy", "alpha_of_change"),
    *("left_overlap", "right_overlap"),
]


@pytest.fixture
def run():
    """One stance, its sham and its base; the sham's and the base's figures differ."""
    query = layer(QUERY, alpha_change(-30.0, -2.0), noise=alpha_change(7.0, 1.0), stable_rank=4.0)
    vectors = [vector(NORM, 0.25), vector(BIAS, None)]
    tuned = altered(record("stance", query, layer(EMBEDDING, None), stance="a"), vector_changes=tuple(vectors))
    sham = record("sham", layer(QUERY, alpha_change(-20.0, -1.0), stable_rank=8.0))
    sham = altered(sham, vector_changes=(vector(NORM, 0.125),))
    base = record("base", layer(QUERY, None))
    (spectrum,) = base.spectra
    base = altered(
        base,
        spectra=(altered(spectrum, fit=altered(spectrum.fit, alpha=4.5)), altered(spectrum, name=EMBEDDING, fit=None)),
        rounding=(
            RoundingControl(name=QUERY, relative_norm=0.002, alpha_change=alpha_change(0.5, 0.0625)),
            RoundingControl(name=EMBEDDING, relative_norm=0.003, alpha_change=None),
        ),
    )
    return base, tuned, sham


def row(table, layer, metric, stance="a"):
    found = table[(table.layer == layer) & (table.metric == metric) & (table.stance == stance)]
    assert len(found) == 1
    return found.iloc[0]


def test_every_figure_of_a_matrix_is_a_row(run):
    table = tensor_table(findings(*run))
    assert list(table.columns) == list(columns())
    of_layer = table[(table.layer == QUERY) & (table.stance == "a")]
    assert list(of_layer.metric) == MATRIX_METRICS
    figures = [4.5, 3.0, -30.0, -2.0, 0.001, 0.002, 4.0, 0.6, math.nan, 0.99, 0.99]
    assert list(of_layer.value) == pytest.approx(figures, nan_ok=True)
    assert [set(of_layer[name]) for name in ("block", "depth_percent", "role")] == [{3}, {75.0}, {"query"}]
    assert set(of_layer[of_layer.unit == "%"].metric) == {"alpha_change_total", "alpha_change_spectrum"}
    one = of_layer.iloc[0]
    assert (one.model, one.treatment, one.recipe, one.seed, one.family) == ("m", "stance", "documented", 0, "f")
    assert set(table[table.stance == "sham"].treatment) == {"sham"}


def test_controls_stand_beside_the_figure(run):
    table = tensor_table(findings(*run))
    total = row(table, QUERY, "alpha_change_total")
    assert (total.noise_low, total.noise_high, total.p_value, total.adjusted_p_value) == (7.0, 7.0, 0.005, 0.01)
    assert (total.sham_value, total.rounding_value) == (-20.0, 0.5)
    spectrum = row(table, QUERY, "alpha_change_spectrum")
    assert (spectrum.noise_low, spectrum.sham_value, spectrum.rounding_value) == (1.0, -1.0, 0.0625)
    rank = row(table, QUERY, "change_stable_rank")
    assert (rank.sham_value, rank.noise_low) == (8.0, 100.0)
    assert row(table, QUERY, "change_top_ten_energy").noise_low == 0.05
    norm = row(table, QUERY, "relative_norm")
    assert norm.rounding_value == 0.002
    assert np.isnan([norm.noise_low, norm.noise_high, norm.p_value, norm.adjusted_p_value]).all()
    assert math.isnan(row(table, QUERY, "alpha_change_total", "sham").sham_value)
    assert row(table, NORM, "relative_norm").sham_value == 0.125


def test_what_is_not_known_is_nan_and_keeps_its_row(run):
    table = tensor_table(findings(*run))
    outside = table[table.layer == EMBEDDING]
    assert list(outside.metric) == MATRIX_METRICS
    assert outside[["block", "depth_percent"]].isna().all(axis=None)
    total = row(table, EMBEDDING, "alpha_change_total")
    unknown = (total.value, total.rounding_value, row(table, EMBEDDING, "alpha_before").value)
    assert np.isnan([*unknown, row(table, EMBEDDING, "relative_norm").sham_value]).all()
    vectors = table[table.layer.isin([NORM, BIAS]) & (table.stance == "a")]
    assert [*zip(vectors.metric, vectors.role, strict=True)] == [("relative_norm", "norm"), ("relative_norm", "bias")]
    assert list(vectors.depth_percent) == [25.0, 25.0]
    assert list(vectors.value) == pytest.approx([0.25, math.nan], nan_ok=True)


def test_a_matrix_that_did_not_change_changed_by_nothing_and_a_failed_one_by_who_knows():
    still = altered(layer(QUERY, None), weight_change=None, noise=None)
    failed = altered(still, name=EMBEDDING, failure="after: not finite")
    table = tensor_table(findings(record("stance", still, failed, stance="a")))
    assert list(table[table.layer == QUERY].metric) == MATRIX_METRICS
    assert row(table, QUERY, "relative_norm").value == row(table, QUERY, "relative_spectral_norm").value == 0.0
    assert math.isnan(row(table, QUERY, "change_stable_rank").value)
    assert table[(table.layer == EMBEDDING) & (table.metric != "alpha_after")].value.isna().all()
    assert math.isnan(row(table, QUERY, "alpha_before").value), "there is no base"


@pytest.mark.parametrize("update", [{"family": "g"}, {"seed": 1}, {"recipe": "long"}, {"model": "n"}], ids=str)
def test_a_sham_of_another_design_is_no_control(update):
    sizes = {QUERY: 1.0}
    sham = trained(sizes)
    other = altered(sham, **update) if "family" in update else altered(sham, cell=altered(sham.cell, **update))
    assert tensor_table(findings(trained(sizes, "a"), other)).sham_value.isna().all()
    assert tensor_table(findings(trained(sizes, "a"), trained(sizes))).sham_value.notna().any()


def test_depth_is_of_the_own_models_blocks():
    deep = {f"model.layers.{index}.self_attn.q_proj": 1.0 for index in range(8)}
    table = tensor_table(findings(trained(deep, "a", model="deep"), trained({QUERY: 1.0}, "a", model="flat")))
    depths = table[table.layer == QUERY].groupby("model").depth_percent.first()
    assert depths.to_dict() == {"deep": 37.5, "flat": 75.0}


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_the_written_table_is_the_table(run, tmp_path, suffix):
    path = tmp_path / "new" / f"tensor{suffix}"
    write_tensor(findings(*run), path)
    read = pandas.read_parquet(path) if suffix == ".parquet" else pandas.read_csv(path, keep_default_na=True)
    expected = tensor_table(findings(*run))
    assert list(read.columns) == list(columns())
    for column, kind in columns().items():
        if kind == "string":
            assert list(read[column].fillna("")) == list(expected[column])
        else:
            ours, theirs = (side[column].astype("float64") for side in (read, expected))
            assert np.array_equal(ours, theirs, equal_nan=True), column


def test_findings_without_a_training_are_a_table_without_rows(run, tmp_path):
    table = tensor_table(findings(run[0]))
    assert list(table.columns) == list(columns())
    assert len(table) == 0
    write_tensor(findings(run[0]), tmp_path / "t.parquet")
    assert {str(kind) for kind in table.dtypes} == set(columns().values())


def test_another_suffix_and_a_folder_in_the_way_are_said(run, tmp_path):
    with pytest.raises(StanceSuiteError, match=r"t\.xlsx: the table is written as \.csv or \.parquet"):
        write_tensor(findings(*run), tmp_path / "t.xlsx")
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(StanceSuiteError, match="cannot be written"):
        write_tensor(findings(*run), tmp_path / "t.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
