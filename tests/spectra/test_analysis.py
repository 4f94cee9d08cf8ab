import io

import numpy as np
import pandas
import pytest
import torch

from stance_suite.errors import WeightsUnavailableError
from stance_suite.spectra.analysis import analyze


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    return {
        "a.weight": torch.randn(60, 40, generator=generator),
        "b.weight": torch.zeros(30, 20),
        "c.weight": torch.randn(4, 40, generator=generator),
        "d.weight": torch.full((30, 20), torch.nan),
        "e.bias": torch.ones(3),
    }


def test_a_failed_fit_has_a_status_and_no_figure_and_enters_no_mean(weights):
    analysis = analyze(weights)
    details = analysis.details.set_index("longname")
    assert list(details["status"]) == ["success", "failed", "failed"]
    assert details.loc[["b", "d"], ["alpha", "xmin", "D", "sigma", "num_pl_spikes"]].isna().all(axis=None)
    assert details["warning"].to_dict()["b"] == "is zero"
    assert "NaN" in details["warning"].to_dict()["d"]
    assert analysis.summary() == pytest.approx({name: details.loc["a", name] for name in analysis.summary()})
    assert {"alpha", "log_norm", "mp_softrank"} <= set(analysis.summary())
    assert [layer.name for layer in analysis.layers] == ["a", "b", "d"]
    assert [(entry.name, entry.reason) for entry in analysis.skipped] == [("c.weight", "smaller side 4 is under 8")]


def test_a_model_without_a_matrix_is_refused():
    with pytest.raises(WeightsUnavailableError, match=r"holds no weight matrix to analyze: a.weight smaller side 2"):
        analyze({"a.weight": torch.ones(2, 50)})


def test_the_table_survives_csv_and_parquet(weights, tmp_path):
    details = analyze(weights).details
    assert pandas.read_csv(io.StringIO(details.to_csv(index=False)))["alpha"].equals(details["alpha"])
    details.to_parquet(tmp_path / "t.parquet")
    pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / "t.parquet"), details)


def test_a_large_alpha_does_not_overflow_the_alpha_norm():
    """WeightWatcher's sum of lambda ** alpha is infinite here."""
    values = np.concatenate([np.full(30, 1e6), 1e6 * np.linspace(1, 1.02, 30)])
    row = analyze({"a.weight": torch.diag(torch.tensor(np.sqrt(values)))}).details.iloc[0]
    assert row["alpha"] > 60
    assert np.isfinite(row["log_alpha_norm"])
    assert row["log_alpha_norm"] > 308


def test_files_and_modules_give_the_same(tiny_model, loaded_tiny_model):
    from_file = analyze(tiny_model).details.set_index("longname")
    from_module = analyze(loaded_tiny_model[0]).details.set_index("longname").loc[from_file.index]
    pandas.testing.assert_frame_equal(from_file.drop(columns="layer_id"), from_module.drop(columns="layer_id"))


def test_a_device_of_pytorchs_gives_the_same(tiny_model, monkeypatch):
    from stance_suite.spectra.eigenvalues import TorchSolver

    on_cpu = analyze(tiny_model)
    monkeypatch.setattr("stance_suite.spectra.layer_spectrum.choose_solver", lambda device: TorchSolver("cpu"))
    on_device = analyze(tiny_model, device="cuda")
    for ours, theirs in zip(on_cpu.layers, on_device.layers, strict=True):
        assert ours.eigenvalues == pytest.approx(theirs.eigenvalues, rel=1e-9, abs=1e-12 * ours.eigenvalues[-1])
        assert ours.fit.alpha == pytest.approx(theirs.fit.alpha, rel=1e-9)


def test_an_adapters_update_is_cut_off_relative_to_its_own_size(tmp_path):
    """Early in training its eigenvalues are far below WeightWatcher's cut-off."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    factors = {"A": torch.randn(32, 60, generator=generator), "B": 1e-5 * torch.randn(50, 32, generator=generator)}
    named = {f"base_model.model.a.lora_{side}.weight": factor for side, factor in factors.items()}
    save_file(named, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 32, "lora_alpha": 32}')
    (layer,) = analyze(tmp_path).layers
    assert layer.spectral_norm**2 < 1e-5
    assert layer.matrix_rank == 32
    larger = analyze({"a.weight": 1e5 * factors["B"] @ factors["A"]}).layers[0]
    assert layer.fit.alpha == pytest.approx(larger.fit.alpha, rel=1e-4)
    assert layer.interval.low == pytest.approx(larger.interval.low, rel=1e-3)
