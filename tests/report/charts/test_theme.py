import json

import numpy as np
import pytest
import vl_convert

from stance_suite.report.charts import behavior, confusion, layers, spectra, training, verdicts
from stance_suite.report.charts.theme import PAGE, PRINT, stacked, titled
from stance_suite.schema.metrics import Metric

PREFERENCE = Metric.LIKELIHOOD_PREFERENCE
ON_PAGE = {
    "esd": spectra.esd,
    "tail_choice": spectra.tail_choice,
    "prompts": lambda theme, width: behavior.prompts(theme, width, PREFERENCE),
    "effects": lambda theme, width: behavior.effects(theme, width, PREFERENCE),
    "preference": training.preference,
    "alphas": training.alphas,
}
IN_FILES = ON_PAGE | {
    "layers": lambda theme, width: layers.layers(theme),
    "verdicts": lambda theme, width: verdicts.verdicts(theme, width, ("alpha", "marker_rate (per 100 words)")),
    "confusion": lambda theme, width: confusion.confusion(theme, PREFERENCE),
}


def colors(spec) -> set[str]:
    written = json.dumps(spec)
    return {part for part in written.split('"') if part.startswith(("#", "var(", "rgb"))}


def luminance(color: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    shares = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("name", IN_FILES)
def test_a_specification_says_what_it_shows_and_holds_no_data(name):
    spec = IN_FILES[name](PRINT, 430)
    assert len(spec["description"]) > 40
    assert '"values": [{' not in json.dumps(spec)
    assert "datasets" not in spec
    assert vl_convert.vegalite_to_vega(spec)["marks"]


@pytest.mark.parametrize("name", ON_PAGE)
def test_on_a_page_colors_are_its_own_and_the_width_is_the_containers(name):
    spec = ON_PAGE[name](PAGE, "container")
    assert spec["width"] == "container"
    assert colors(spec)
    assert all(color.startswith("var(--") for color in colors(spec))
    assert not any(color.startswith("var(") for color in colors(ON_PAGE[name](PRINT, 430)))
    assert vl_convert.vegalite_to_vega(spec)["marks"]


@pytest.mark.parametrize(
    ("color", "enough"), [("before", 3), ("after", 3), ("control", 3), ("text", 4.5), ("soft", 4.5)]
)
def test_marks_and_words_stand_out_in_print(color, enough):
    assert (luminance(PRINT.background) + 0.05) / (luminance(getattr(PRINT, color)) + 0.05) >= enough
    assert (luminance("#ffffff"), luminance("#000000")) == (pytest.approx(1), 0)


def test_stacked_pictures_have_the_descriptions_and_the_views_of_both():
    one, other = (ON_PAGE[name](PRINT, 430) for name in ("prompts", "effects"))
    both = stacked(one, other)
    assert both["description"] == f"{one['description']} {other['description']}"
    assert [view["height"] for view in both["vconcat"]] == [one["height"], other["height"]]
    assert both["config"] == one["config"]
    assert all("config" not in view and "$schema" not in view for view in both["vconcat"])


def test_a_long_title_is_broken_into_lines_and_described():
    spec = ON_PAGE["esd"](PRINT, 430)
    heading = titled(spec, "word " * 40, ["below"])
    lines = heading["title"]["text"]
    assert max(map(len, lines)) <= 64 and " ".join(lines) == " ".join(["word"] * 40)
    assert heading["title"]["subtitle"] == ["below"]
    assert heading["description"].endswith(spec["description"])
    assert "title" not in spec
