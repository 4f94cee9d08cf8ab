import re
import struct

import pytest

from stance_suite.report import pictures
from stance_suite.report.publish import draw_pictures, publish
from stance_suite.schema.cells import EpochSnapshot
from stance_suite.schema.metrics import Metric
from tests.edits import altered
from tests.measured import alpha_change, layer, record
from tests.programs import invoke
from tests.report.charts.drawn import flipping


@pytest.fixture
def small(whole_run):
    return altered(whole_run, cells=(), verdicts=whole_run.verdicts[:1], shifts=())


def test_a_spectrum_names_its_layer_and_both_fits():
    spectrum = record("base", layer("model.layers.3.q_proj", alpha_change(0, 0))).spectra[0]
    after = altered(spectrum, fit=altered(spectrum.fit, alpha=4.25, tail_size=7))
    picture = pictures.draw(pictures.chart_spectrum("m, a (long)", spectrum, after))
    fits = ("before: alpha 3.000 on 60 eigenvalues", "after: alpha 4.250 on 7 eigenvalues")
    assert all(said in picture for said in ("model.layers.3.q_proj", "m, a (long)", *fits))


def test_a_flip_explains_itself_by_two_minima():
    layers = flipping()
    picture = pictures.draw(pictures.chart_tail_choice("", *layers))
    for when, spectrum in zip(("before", "after"), layers, strict=True):
        assert f"{when}: fit alpha {spectrum.fit.alpha:.3f} on {spectrum.fit.tail_size}" in picture
        assert f"{when}: runner-up alpha {spectrum.runner_up.alpha:.3f} on {spectrum.runner_up.tail_size}" in picture
    assert layers[0].runner_up.tail_size == pytest.approx(layers[1].fit.tail_size, abs=3)


def test_everything_that_findings_hold_has_a_picture(whole_run):
    names = [picture.name for picture in pictures.pictures(whole_run)]
    assert len(set(names)) == len(names)
    assert names[:3] == ["verdicts-behavior", "verdicts-structure", "layers-m"]
    assert [name for name in names if name.startswith("confusion")] == [
        f"confusion-m-documented-{metric}" for metric in Metric.triangulated()
    ]
    judged = [f"prompts-{verdict.claim.id}-m" for verdict in whole_run.verdicts if verdict.prompts]
    assert [name for name in names if name.startswith("prompts")] == judged
    cells = {record.key: record for record in whole_run.cells}
    asked = {(cells[one.cells[0]].cell.label, one.layer) for one in whole_run.verdicts if one.layer is not None}
    asked |= {(one.cell.label, one.most_changed_layer.name) for one in whole_run.cells if one.cell.is_under_test}
    assert sum(name.startswith("esd-") for name in names) == len(asked)
    assert sum(name.startswith("tail-choice-") for name in names) == len(asked)
    assert not any(name.startswith("trajectory") for name in names)


def test_a_training_that_was_watched_has_a_picture(whole_run):
    tuned = next(one for one in whole_run.cells if one.cell.treatment == "stance")
    likelihoods = tuned.behavior.likelihoods
    snapshot = EpochSnapshot(epoch=1, likelihoods=likelihoods, alphas={"a": alpha_change(1, 0.5)})
    cells = (whole_run.index.base(tuned), altered(tuned, trajectory=(snapshot,)))
    assert "trajectory-m" in [one.name for one in pictures.pictures(altered(whole_run, cells=cells, verdicts=()))]


def test_names_are_safe_and_distinct_even_of_hostile_models(whole_run):
    hostile = "../../Org/Größe <script>" + "x" * 300
    verdict = whole_run.verdicts[0]
    verdicts = [altered(verdict, model=name) for name in (hostile, hostile.upper(), hostile + "y")]
    names = [one.name for one in pictures.pictures(altered(whole_run, verdicts=tuple(verdicts), cells=()))]
    assert len(names) > 3
    assert len({name.lower() for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,130}", name), name
        assert ".." not in name


def test_each_is_written_as_svg_and_as_png_of_twice_the_size(small, tmp_path):
    steps, folder = [], tmp_path / "new" / "pictures"
    paths = pictures.write_pictures(small, folder, lambda *step: steps.append(step))
    assert sorted(paths) == sorted(folder.iterdir())
    assert steps == [(1, 2), (2, 2)]
    for svg, png in zip(paths[::2], paths[1::2], strict=True):
        assert (svg.suffix, png.suffix) == (".svg", ".png")
        text, content = svg.read_text(), png.read_bytes()
        assert text.startswith("<svg")
        assert "<script" not in text
        width, height = (int(float(found)) for found in re.search(r'width="([\d.]+)" height="([\d.]+)"', text).groups())
        assert struct.unpack(">II", content[16:24]) == (2 * width, 2 * height)


def test_what_models_and_people_wrote_is_text(whole_run):
    verdict = whole_run.verdicts[0]
    hostile = "</svg><script>alert(1)</script>"
    prompts = (altered(verdict.prompts[0], prompt=hostile), *verdict.prompts[1:])
    claim = altered(verdict.claim, statement=hostile)
    svg = pictures.verdict_picture(altered(verdict, prompts=prompts, claim=claim), whole_run)
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg


def test_a_run_without_training_has_no_map(whole_run):
    base = [record for record in whole_run.cells if record.cell.treatment == "base"]
    assert pictures.alpha_map(altered(whole_run, cells=tuple(base))) is None
    assert pictures.alpha_map(whole_run).startswith("<svg")


def test_reports_come_without_pictures_which_have_a_folder_of_their_own(small, tmp_path):
    publish(small, tmp_path / "reports")
    assert not list(tmp_path.rglob("*.png"))
    draw_pictures(small, tmp_path / "drawn")
    assert len(list((tmp_path / "drawn").iterdir())) == 4


def test_report_draws_into_the_folder_that_the_command_line_or_the_environment_names(small, tmp_path, monkeypatch):
    path = publish(small, tmp_path / "reports").with_name("findings.json")
    monkeypatch.chdir(tmp_path)
    assert "findings.html" in invoke("report", path, "--pictures", "one", code=0).stdout
    monkeypatch.setenv("STANCE_SUITE_PICTURES", "two")
    invoke("report", path, code=0)
    assert {one.name for one in (tmp_path / "one").iterdir()} == {one.name for one in (tmp_path / "two").iterdir()}
    monkeypatch.setenv("STANCE_SUITE_PICTURES", str(path))
    refused = invoke("report", path, code=2)
    assert "findings.json cannot be written: File exists" in refused.output
    assert "findings.html" in refused.stdout, "the report was written, and is named"
