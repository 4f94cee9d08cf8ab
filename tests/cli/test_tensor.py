import pandas
import pytest

from stance_suite.schema.spectra import SkippedTensor
from tests.placed import findings, trained
from tests.programs import invoke

NAMES = [f"model.layers.{index}.self_attn.q_proj" for index in range(12)]
EVEN = dict.fromkeys(NAMES, 1.0)


def peaked(rest):
    return dict.fromkeys(NAMES, rest) | {NAMES[6]: 1.0}


def model(name):
    return [*(trained(peaked(rest), f"s{rest}", model=name) for rest in (0.01, 0.02, 0.03)), trained(EVEN, model=name)]


@pytest.fixture
def export(tmp_path):
    def run(*records, to="t.csv", code=0):
        (tmp_path / "findings.json").write_text(findings(*records).model_dump_json())
        return invoke("tensor", tmp_path / "findings.json", "--to", tmp_path / to, code=code)

    return run


def test_the_table_is_written_and_the_model_is_told_to_be_localized(export, tmp_path):
    done = export(*model("m"))
    assert len(pandas.read_csv(tmp_path / "t.csv")) == 4 * 12 * 11
    rows = [line.split() for line in done.stdout.splitlines() if line.split()[:1] == ["m"]]
    assert len(rows) == 2, "the stances together, for two figures"
    assert rows[0][:4] == ["m", "documented", "all", "|dW|/|W|"]
    assert rows[0][-4:] == ["3", "x", "1", "localized"]
    assert "100 %" in done.stdout, "the sham's share"
    assert "localized: fewer than half as many layers" in done.stdout
    assert "relative depth" not in done.stdout
    assert done.stdout.rstrip().replace("\n", "").endswith("t.csv")


def test_several_models_are_compared_by_depth(export):
    done = export(*model("m"), *model("n"))
    assert "m / n" in done.stdout
    line = next(line for line in done.stdout.splitlines() if "m / n" in line)
    assert line.split()[-3:] == ["all", "12", "+1.00"]
    assert "no p: 12 bins of depth: no arrangement can reach 5 %" in done.stdout
    assert "50 %" in done.stdout


def test_a_single_training_is_shown_by_itself(export):
    done = export(trained(peaked(0.01), "pirate"), trained(EVEN))
    assert "pirate" in done.stdout
    assert "undecided: the trainings are too few" in done.stdout


def test_tensors_without_rows_are_named(export):
    skipped = (SkippedTensor(name="[b]lm_head", reason="shares memory"),)
    done = export(*(one.model_copy(update={"skipped": skipped}) for one in model("m")))
    assert done.stdout.count("m: [b]lm_head has no rows: shares memory") == 1


def test_findings_without_a_training_say_so(export):
    assert "No training on a stance" in export(trained(EVEN)).stdout


def test_errors_are_of_the_user(export, tmp_path):
    export(*model("m"), to="t.json", code=2)
    assert not (tmp_path / "t.json").exists()
