"""The plugin is loaded into every pytest run of its users, so it must cost next to nothing there."""

import os
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "ray",
    "pandas",
    "altair",
    "numpy",
    "scipy",
    "pydantic",
    "yaml",
    "sentence_transformers",
)


@pytest.mark.parametrize("module", ["stance_suite", "stance_suite.pytest_plugin.hooks", "stance_suite.config.options"])
def test_importing_it_loads_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_of_pytest_elsewhere_loads_nothing_heavy_and_creates_nothing(tmp_path):
    (tmp_path / "test_unrelated.py").write_text(
        "import sys\ndef test_unrelated():\n"
        f"    assert [name for name in {HEAVY!r} if name in sys.modules] == []\n"
        "    assert 'stance_suite.pytest_plugin.hooks' in sys.modules\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "stance_suite.pytest_plugin.hooks", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"test_unrelated.py", "__pycache__"}


def test_the_plugin_is_found_through_its_entry_point():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--help"], cwd="/", capture_output=True, text=True, check=True
    )
    for option in ("model", "profile", "seed", "device", "fixtures", "cache", "reports"):
        assert f"--stance-{option}" in done.stdout
    assert (
        "stance_metrics"
        in subprocess.run(
            [sys.executable, "-m", "pytest", "--markers"], cwd="/", capture_output=True, text=True, check=True
        ).stdout
    )


def test_a_test_suites_own_fixture_called_stance_is_left_alone(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def stance():
            return "goofy"

        def test_own(stance):
            assert stance == "goofy"
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)
