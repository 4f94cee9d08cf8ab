"""Eigenvalues, power laws, noise: what a checkpoint or a pair looks like to WeightWatcher, with controls.

`analyze` measures a checkpoint, `compare` a pair. Figures equal WeightWatcher's (parity is tested on real weights);
where it should not be followed, the module says why. Matrices are read block by block and spread over threads.
"""

from stance_suite.spectra.analysis import Analysis, analyze
from stance_suite.spectra.comparison import Comparison, compare

__all__ = ["Analysis", "Comparison", "analyze", "compare"]
