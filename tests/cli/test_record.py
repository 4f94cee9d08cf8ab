import pytest

from stance_suite.files import hash_file
from stance_suite.judge.gate import GateTerms, judge_gate
from stance_suite.schema.verdicts import Status
from stance_suite.store.findings import read_findings, write_baseline
from tests.edits import altered, edited
from tests.made_up_run import POLICY
from tests.programs import invoke


@pytest.fixture
def written(whole_run, tmp_path):
    def write(*edits):
        path = tmp_path / "findings.json"
        path.write_text(edited(whole_run, *edits).model_dump_json())
        return path

    return write


@pytest.fixture
def recomputed(whole_run):
    return sum(one.status is not Status.NOT_RUN for one in whole_run.verdicts)


def test_a_record_left_as_it_was_is_verified(written, recomputed):
    done = invoke("verify", written(), code=0)
    assert done.output.splitlines() == [
        "NOT_RUN, which cannot be recomputed: 2",
        "claims without a verdict: 1",
        "What was declared (claims, statements, policy) is taken from the file itself; --fixtures compares it.",
        f"{recomputed} verdicts recomputed, all agree.",
    ]


def test_an_edited_record_is_refused_with_the_difference(written, recomputed):
    done = invoke("verify", written((("verdicts", "own.flip", "status"), "HOLDS")), code=1)
    assert "own.flip on m: status: recorded HOLDS, recomputed FAILS" in done.output
    assert done.output.splitlines()[-1] == f"{recomputed} verdicts recomputed; differences: 1."


def test_a_gate_needs_the_baseline_it_had(written):
    path = written((("gate", "baseline"), "earlier.json"))
    done = invoke("verify", path, code=2)
    assert "the gate was held against earlier.json: give it with --baseline" in done.output
    other = invoke("verify", path, "--baseline", path, code=2)
    assert "is not the baseline that the gate was held against" in other.output


def test_a_gate_is_verified_with_its_baseline(whole_run, tmp_path):
    baseline, path = tmp_path / "baseline.json", tmp_path / "findings.json"
    write_baseline(whole_run, baseline)
    terms = GateTerms(POLICY, "policy.yaml", read_findings(baseline), str(baseline), hash_file(baseline))
    gate = judge_gate(whole_run, terms)
    path.write_text(altered(whole_run, gate=gate).model_dump_json())
    invoke("verify", path, "--baseline", baseline, code=0)
    demands = tuple(altered(one, reason="it is fine") for one in gate.demands)
    path.write_text(altered(whole_run, gate=altered(gate, demands=demands)).model_dump_json())
    assert invoke("verify", path, "--baseline", baseline).exit_code == 1


def test_a_record_without_a_verdict_is_not_verified(written):
    invoke("verify", written((("verdicts",), []), (("gate",), None), (("statements",), [])), code=1)


def test_a_baseline_has_nothing_to_be_verified_on(whole_run, tmp_path):
    write_baseline(whole_run, tmp_path / "baseline.json")
    done = invoke("verify", tmp_path / "baseline.json", code=2)
    assert "baseline.json is a baseline, without texts and spectra" in done.output


def test_declarations_are_compared_if_asked_for(written, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"stances: [{POLICY.stances[0]}]\nclaims: ['own.*']\n")
    (tmp_path / "empty").mkdir()
    done = invoke("verify", written(), "--fixtures", tmp_path / "empty", code=1)
    assert "gate: demanded.claims" in done.output
    assert "demanded" not in invoke("verify", written(), "--fixtures", tmp_path / "empty", "--policy", policy).output
    assert "own.likelihood on m: id: recorded own.likelihood, recomputed not declared" in done.output


def test_a_fingerprint_is_one_hash_a_line(written, tiny_model):
    path = written()
    lines = invoke("fingerprint", path).output.splitlines()
    assert lines[0].endswith(f"  findings: {path}")
    assert len(lines[0].split("  ")[0]) == 64
    assert invoke("fingerprint", tiny_model).output.splitlines()[-1].endswith("  parameters: 20 tensors")
