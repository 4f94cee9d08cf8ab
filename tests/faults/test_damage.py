"""Records that were cut off, and the runs that meet them."""

import pytest

from tests.faults.trials import assert_nothing_is_half_written, run_sweep
from tests.sweeping import findings_of, measured, stored

TRUNCATIONS = 10


@pytest.mark.slow
def test_a_truncated_record_is_measured_again_and_the_findings_are_the_same(undisturbed, tmp_path):
    """Every tenth byte is tried where records are read; here a whole run meets some of them."""
    name = min(stored(undisturbed.project))
    whole = stored(undisturbed.project)[name]
    for number in range(TRUNCATIONS):
        size = [0, 1, len(whole) - 1, *range(0, len(whole), len(whole) // (TRUNCATIONS - 2))][number]
        project = undisturbed.copy(tmp_path / str(number))
        others = {other: content for other, content in stored(project).items() if other != name}
        (project / "cache" / "cells" / name).write_bytes(whole[:size])
        done = run_sweep(project)
        assert done.returncode == 0, done.stderr
        assert measured(done) == 1, "the engine measures it, as what is missing"
        assert findings_of(project) == undisturbed.findings
        assert_nothing_is_half_written(project)
        assert stored(project).items() >= others.items()
        damaged = project / "cache" / "cells" / name.replace(".json.gz", ".damaged")
        assert damaged.read_bytes() == whole[:size], "it is set aside, for whoever wants to know"
