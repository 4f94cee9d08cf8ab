"""The plugin is loaded into every pytest run of its users, so it must cost next to nothing there."""

import os
import subprocess
import sys

import pytest

from stance_suite.config.options import OPTIONS

HEAVY = ["torch", "transformers", "ray", "pandas", "altair", "numpy", "scipy", "pydantic", "yaml"]
HEAVY += ["sentence_transformers"]


def run_python(*arguments, **how):
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["pytest_plugin.hooks", "config.options", "schema.layer_names"])
def test_importing_it_loads_nothing_heavy(module):
    code = f"import sys, stance_suite.{module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run_python("-c", code).strip() == "[]"


def test_a_run_of_pytest_elsewhere_loads_nothing_heavy_and_creates_nothing(tmp_path):
    (tmp_path / "test_unrelated.py").write_text(
        "import sys\ndef test_unrelated():\n"
        f"    assert [name for name in {HEAVY!r} if name in sys.modules] == []\n"
        "    assert {'stance_suite.pytest_plugin.hooks', 'stance_suite.config.options'} <= {*sys.modules}\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    options = ("-q", "-p", "stance_suite.pytest_plugin.hooks", "-p", "no:cacheprovider")
    run_python("-m", "pytest", *options, cwd=tmp_path, env=environment)
    assert {path.name for path in tmp_path.iterdir()} <= {"test_unrelated.py", "__pycache__"}


def test_the_plugin_is_found_through_its_entry_point():
    told = run_python("-m", "pytest", "--help", cwd="/")
    assert [option.name for option in OPTIONS if f"--stance-{option.name}" not in told] == []
    assert "stance_metrics" in run_python("-m", "pytest", "--markers", cwd="/")


def test_a_test_suites_own_fixture_called_stance_is_left_alone(pytester):
    own = "import pytest\n@pytest.fixture\ndef stance():\n    return 'goofy'\n"
    pytester.makepyfile(f"{own}def test_own(stance):\n    assert stance == 'goofy'\n")
    pytester.runpytest().assert_outcomes(passed=1)
