import html
import html.parser
import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest

from stance_suite.claims import Claim
from stance_suite.errors import StanceSuiteError
from stance_suite.judgments import Verdict
from stance_suite.publish import publish, rebuild
from stance_suite.records import Findings
from stance_suite.reports.page import render_html
from stance_suite.verdicts import Replicate, compare_trainings, judge_behavior, judge_structure, weigh_behavior
from tests.edits import altered
from tests.measured import alpha_change, behavior, layer, record

HOSTILE = [
    "<script>document.title='x'</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "</td></table>" + "y" * 50_000,
]


@pytest.fixture
def findings(library, stance) -> Findings:
    names = (stance.name, *stance.contrasts)

    def said(level, text):
        prompts = enumerate(stance.held_out_prompts)
        return behavior({p: {n: level * (n == stance.name) * (1 + 0.01 * i) for n in names} for i, p in prompts}, text)

    change = layer("model.layers.0.q_proj", alpha_change(4.0, 0.1, 26, 24))
    tuned = record("stance", change, said=said(0.5, HOSTILE[0]), stance=stance.name)
    base, sham = record("base", change, said=said(0.0, HOSTILE[1])), record("sham", change, said=said(0.1, HOSTILE[3]))
    common = {"model": "m", "stance": stance.name}
    behavioral = Claim(
        id="b", statement="Said <b>so</b>.", metric="likelihood_preference", comparator="above", bound=0.1, **common
    )
    structural = Claim(
        id="s",
        statement="Alpha rises.",
        metric="alpha_change_percent",
        layer="*",
        comparator="above",
        bound=3,
        **common,
    )
    shifts, triangulations = compare_trainings([base, tuned, sham], library.stances)
    return Findings(
        suite_version="0",
        created="2026-01-01T00:00:00+00:00",
        command=f"pytest {HOSTILE[2]}",
        stances=(),
        claims=(behavioral, structural),
        verdicts=(
            judge_behavior(weigh_behavior(behavioral, stance, [Replicate(tuned, base, sham)]), 0.01),
            judge_structure(structural, Replicate(tuned, base, sham)),
            Verdict(claim=altered(behavioral, id="n"), model="m", status="NOT_RUN", reason="no weights here"),
        ),
        shifts=shifts,
        triangulations=triangulations,
        cells=(base, tuned, sham),
    )


class Elements(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def parsed(page: str) -> Elements:
    elements = Elements()
    elements.feed(page)
    return elements


def test_model_output_is_text_and_nothing_runs(findings):
    page = parsed(render_html(findings))
    assert "img" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    text = "".join(page.text)
    assert HOSTILE[2] in text
    assert "Said <b>so</b>." in text
    (block,) = [
        part for part in page.text if part.startswith('{"asked"')
    ]  # as JSON, which a script makes text nodes of
    assert "<" not in block
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[3]} == {
        text for cell in json.loads(block)["cells"] for said in cell["responses"].values() for text, *_ in said.values()
    }


def test_only_the_pages_own_scripts_and_styles_are_allowed(findings):
    page = render_html(findings)
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


def test_nothing_is_fetched_from_elsewhere(findings):
    page = parsed(render_html(findings))
    addresses = [value for name, value in page.attributes if name in ("src", "href", "xlink:href") and value]
    assert [address for address in addresses if not address.startswith("#")] == []
    assert "default-src 'none'" in "".join(value or "" for _, value in page.attributes)


def test_the_page_shows_verdicts_figures_pictures_and_responses(findings):
    page = render_html(findings)
    elements = parsed(page)
    text = " ".join("".join(elements.text).split())
    for expected in ("HOLDS", "tail_flip", "no weights here", "model.layers.0.q_proj", "+4 %"):
        assert expected in text, expected
    # the scripts draw all other pictures
    assert elements.tags.count("svg") == 2  # a bar for each judged verdict
    assert "tail flip 26 → 24" in text


def test_findings_without_anything_trained_still_render(findings):
    page = render_html(altered(findings, cells=(), shifts=(), triangulations=(), verdicts=findings.verdicts[2:]))
    assert "Nothing was trained" in page


def test_the_report_is_rebuilt_from_the_file_alone(findings, tmp_path):
    report = publish(findings, tmp_path / "reports")
    first = report.read_text()
    report.unlink()
    again = rebuild(tmp_path / "reports" / "findings.json").read_text()
    # Vega numbers clip paths and gradients through a process, so that they stay unique within a page
    numbered = re.compile(r"(clip|gradient_)\d+")
    assert numbered.sub("", again) == numbered.sub("", first)
    assert Findings.model_validate_json((tmp_path / "reports" / "findings.json").read_bytes()) == findings
    assert (tmp_path / "reports" / "findings.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("content", ["", "{}", '{"schema_version": 0}', "not json"])
def test_what_is_no_findings_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "findings.json"
    path.write_text(content)
    with pytest.raises(StanceSuiteError, match=r"is (no|a) findings file of schema version [04]") as raised:
        rebuild(path)
    assert "\n" not in str(raised.value)
    with pytest.raises(StanceSuiteError, match="cannot be read"):
        rebuild(tmp_path / "missing.json")
