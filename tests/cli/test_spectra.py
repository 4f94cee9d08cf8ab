import numpy as np
import pandas
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.programs import invoke


@pytest.fixture
def pair(tmp_path):
    """Two models, the second with one layer whose tail flips: two tails of the spectrum fit nearly as well."""
    from tests.spectra.flipping import flipping_pair

    torch.manual_seed(0)
    before, after = flipping_pair()
    folders = []
    for name, flipping in (("before", before), ("after", after)):
        (tmp_path / name).mkdir()
        tensors = {"layers.0.up.weight": torch.tensor(flipping), "layers.1.up.weight": torch.ones(3, 9)}
        save_file(tensors | {"norm": torch.ones(9)}, tmp_path / name / "model.safetensors")
        folders.append(tmp_path / name)
    return folders


def test_a_model_is_a_table_with_what_is_skipped_and_means(tiny_model, pair, tmp_path):
    assert "skipped layers.1.up.weight: smaller side 3 is under 8" in invoke("spectra", pair[0]).stdout
    done = invoke("spectra", tiny_model, "--csv", tmp_path / "t.csv", "--parquet", tmp_path / "t.parquet", code=0)
    assert "model.layers.0.self_attn.q_proj" in done.stdout
    assert "15 matrices, 0 without a fit; means over the fitted: log_norm" in done.stdout
    written = pandas.read_csv(tmp_path / "t.csv")
    assert {"longname", "alpha", "D", "num_pl_spikes", "mp_softrank", "warning"} <= set(written)
    assert np.allclose(written["alpha"], pandas.read_parquet(tmp_path / "t.parquet")["alpha"])


def test_a_pair_shows_the_flip_and_draws_it(pair, tmp_path):
    before, after = pair
    written = ("--csv", tmp_path / "t.csv", "--pictures", tmp_path / "pictures")
    done = invoke("spectra", after, "--before", before, *written, code=0)
    assert "1 tail flips" in done.stdout
    row = pandas.read_csv(tmp_path / "t.csv").iloc[0]
    assert row["tail_flip"]
    assert abs(row["alpha_total"]) > 10 * abs(row["alpha_spectrum"])
    picture = (tmp_path / "pictures" / "layers.0.up.tail.svg").read_text()
    assert picture.startswith("<svg") and f"after: fit alpha {row['alpha_after']:.3f}" in picture


def test_a_fused_matrix_is_split_on_demand(tmp_path):
    save_file({"h.0.attention.query_key_value.weight": torch.randn(96, 32)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "gpt_neox", "num_attention_heads": 4, "hidden_size": 32}')
    assert "query_key_value.query" in invoke("spectra", tmp_path, "--fused", "split").stdout
    assert "query_key_value.query" not in invoke("spectra", tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{folder}/nothing"], "does not exist; give a folder"),
        (["smollm2-135n"], "did you mean 'smollm2-135m'"),
        (["{folder}/empty.safetensors"], "is no whole safetensors file"),
        (["{model}", "--fused", "both"], "--fused 'both': say 'whole' or 'split'"),
        (["{model}", "--csv", "{folder}/empty.safetensors/t.csv"], "cannot be written"),
        (["{model}", "--before", "{folder}/other.safetensors"], "are not of one architecture"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(tiny_model, tmp_path, arguments, message):
    (tmp_path / "empty.safetensors").write_bytes(b"")
    tensors = load_file(tiny_model / "model.safetensors")
    tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, tmp_path / "other.safetensors")
    done = invoke("spectra", *(argument.format(folder=tmp_path, model=tiny_model) for argument in arguments), code=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_an_audit_tells_flips_and_what_remains(pair, tmp_path):
    """Of the whole models: the layers that kept their tails tell how far spectra moved."""
    tables = []
    for folder, sign in zip(pair, (0, 1), strict=True):
        generator = np.random.default_rng(0)
        tensors = load_file(folder / "model.safetensors")
        for place in range(2, 8):
            moved = generator.standard_t(4, (60, 40)) + sign * 1e-5 * generator.standard_normal((60, 40))
            tensors[f"layers.{place}.up.weight"] = torch.tensor(moved)
        save_file(tensors, folder / "model.safetensors")
        tables.append(tmp_path / f"{folder.name}.csv")
        assert invoke("spectra", folder, "--csv", tables[-1]).exit_code == 0
    done = invoke("audit", *tables, code=0)
    assert "tail_flip: 1 of 7 layers" in done.stdout
    assert "what remains: 0 of 7 layers" in done.stdout
