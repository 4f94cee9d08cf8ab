import html
import json
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files

import pytest
import vl_convert

from stance_suite.report.page import assets, render_html
from stance_suite.report.page.assets import FRAGMENT_STYLE, SCRIPTS, STYLES
from stance_suite.report.page.top import result_sentence
from stance_suite.report.publish import publish, render
from stance_suite.schema.findings import Findings
from stance_suite.schema.verdicts import Status
from stance_suite.store.findings import read_findings
from tests.browser.hostile import ATTEMPTS, hostile_findings, written
from tests.edits import altered
from tests.html_pages import Parsed, parse, squeeze

ASSETS = files("stance_suite.report.page") / "assets"
HOSTILE = " ".join(attempt[:1000] for attempt in ATTEMPTS.values())


@pytest.fixture(scope="module")
def findings(whole_run) -> Findings:
    return hostile_findings(altered(whole_run, gate=None), HOSTILE)


@pytest.fixture(scope="module")
def page(findings) -> str:
    return render_html(findings)


@pytest.fixture(scope="module")
def parsed(page) -> Parsed:
    return parse(page)


def test_model_output_is_text_and_nothing_runs(findings, parsed):
    assert not parsed.all("img")
    assert not [name for name, _ in parsed.attributes if name.startswith("on") or name == "style"]
    for place in ("statement", "reason", "model", "command"):
        assert squeeze(written(place, HOSTILE)) in parsed.text
    (block,) = [part for part in parsed.texts if part.startswith('{"asked"')]
    assert "<" not in block, "as JSON, which a script makes text nodes of"
    asked = [responses for cell in json.loads(block)["cells"] for responses in cell["responses"].values()]
    assert written("response", HOSTILE) in [text for responses in asked for text, *_ in responses.values()]


def test_only_the_pages_own_scripts_and_styles_are_allowed(page):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    policy = html.unescape(policy)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        inlined = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        hashes = {f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in inlined}
        assert hashes
        (allowed,) = re.findall(rf"{tag}-src ([^;]+)", policy)
        assert set(allowed.split()) == hashes


def test_nothing_is_fetched_from_elsewhere(parsed):
    addresses = [value for name, value in parsed.attributes if name in ("src", "href", "xlink:href") and value]
    assert [address for address in addresses if not address.startswith("#")] == []


def test_the_page_shows_the_result_and_verdicts_and_a_bar_for_each_that_was_judged(findings, parsed):
    assert squeeze(result_sentence(findings)) in parsed.text
    for verdict in findings.verdicts:
        for told in (verdict.status, verdict.claim.statement, verdict.reason, *verdict.caveats):
            assert squeeze(told) in parsed.text
    judged = [verdict for verdict in findings.verdicts if verdict.status is not Status.NOT_RUN]
    assert len(parsed.all("svg")) == len(judged), "the scripts draw all other pictures"


def test_the_report_is_rebuilt_from_the_file_alone(whole_run, tmp_path):
    report = publish(whole_run, tmp_path / "reports")
    first = report.read_text()
    report.unlink()
    path = report.with_suffix(".json")
    again = render(read_findings(path), path).read_text()
    # Vega numbers clip paths and gradients through a process, so that they stay unique within a page
    numbered = re.compile(r"(clip|gradient_)\d+")
    assert numbered.sub("", again) == numbered.sub("", first)
    assert Findings.model_validate_json((tmp_path / "reports" / "findings.json").read_bytes()) == whole_run
    assert (tmp_path / "reports" / "findings.svg").read_text().startswith("<svg")


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed; the browser tests run the scripts")
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_parses(name):
    done = subprocess.run(["node", "--check", str(ASSETS / name)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_asset_is_part_of_the_page_or_of_fragments():
    there = {entry.name for entry in ASSETS.iterdir()}
    assert there == {*SCRIPTS, *STYLES, FRAGMENT_STYLE}


@pytest.mark.parametrize(
    ("make", "times"),
    [
        (lambda cache: None, 1),
        (lambda cache: cache.mkdir(parents=True), 2),  # a folder where the file should be
        (lambda cache: cache.parent.mkdir(parents=True) or cache.write_bytes(b"\xff"), 1),
    ],
    ids=["empty", "not writable", "damaged"],
)
def test_vega_is_bundled_once_for_all_reports_where_the_cache_can_be_written(tmp_path, monkeypatch, make, times):
    bundled = []
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda snippet: bundled.append(snippet) or f"vega; {snippet}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    make(tmp_path / "stance-suite" / f"vega-{version('vl-convert-python')}.js")
    assert assets._vega() == assets._vega() == f"vega; {bundled[0]}"
    assert len(bundled) == times
