"""Weight spectra before and after: eigenvalues, power-law tails, and what really changed.

Matrices are independent, so they are spread over threads with one BLAS thread each. Figures equal WeightWatcher's
(parity is tested on real weights); where WeightWatcher should not be followed, the module says why.
"""

from stance_suite.spectra.measure import compare_with_baseline, measure_spectra

__all__ = ["compare_with_baseline", "measure_spectra"]
