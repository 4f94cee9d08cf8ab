import json

import pytest

from tests.programs import invoke
from tests.runs import findings, one_run


@pytest.fixture
def runs(tmp_path, stance):
    made = {
        "before": one_run(stance, 0.5, model="<script>|[bold]x"),
        "after": one_run(stance, 0.3, noise=1, model="large"),
        "empty": findings(stance),
    }
    paths = {name: tmp_path / f"{name}.json" for name in made}
    for name, run in made.items():
        paths[name].write_text(run.model_dump_json())
    return paths


def test_a_comparison_is_printed_and_written_and_never_an_exit_code(runs, tmp_path):
    written = tmp_path / "new" / "comparison.json", tmp_path / "comparison.md"
    done = invoke("compare", runs["before"], runs["after"], "--json", written[0], "--markdown", written[1], code=0)
    assert "1 claim compared: 0 verdicts changed; effects: 1 regressed." in done.output
    assert "[bold]" in done.output.replace("\n", "")
    assert json.loads(written[0].read_text())["changes"][0]["outcome"] == "regressed"
    assert "regressed" in written[1].read_text()
    assert "<script>" not in written[1].read_text()


def test_an_empty_run_and_an_unusable_baseline_are_told(runs):
    done = invoke("compare", runs["empty"], runs["after"], code=0)
    assert "The baseline holds no verdict." in done.output
    assert "only in the second run: m.adopted of large, HOLDS" in done.output
    assert "No claim is common to both runs." in done.output
