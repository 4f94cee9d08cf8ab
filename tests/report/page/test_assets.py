import shutil
import subprocess
from importlib.resources import files

import pytest

from stance_suite.report.page.assets import FRAGMENT_STYLE, SCRIPTS, STYLES

ASSETS = files("stance_suite.report.page") / "assets"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed; the browser tests run the scripts")
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_parses(name):
    done = subprocess.run(["node", "--check", str(ASSETS / name)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_asset_is_part_of_the_page_or_of_fragments():
    there = {entry.name for entry in ASSETS.iterdir()}
    assert there == {*SCRIPTS, *STYLES, FRAGMENT_STYLE}
