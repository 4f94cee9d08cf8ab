"""Eigenvalues of W^T W through the Gram matrix of the smaller side."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ROW_BLOCK = 4096
"""Rows converted to float64 at a time: bounds memory for vocabulary-sized matrices."""


def gram_eigenvalues(
    *summands: npt.NDArray[np.float32], dtype: type[np.float32] | type[np.float64] = np.float64
) -> npt.NDArray[np.float64]:
    """Compute the eigenvalues of ``W^T W`` for ``W`` the sum of the given matrices.

    Parameters
    ----------
    *summands : ndarray of shape (rows, columns)
        Matrices of one shape. The sum is formed block by block, never as a whole.
    dtype : type
        Precision of the sum, of the Gram matrix and of the solver. float64 for a fit; float32 is half the work and
        enough for norms, ranks and energies.

    Returns
    -------
    ndarray of shape (min(rows, columns),)
        Squared singular values in ascending order; rounding below zero is clipped. No 1/N, no centering.
    """
    tall = [matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T for matrix in summands]
    rows, columns = tall[0].shape
    gram = np.zeros((columns, columns), dtype)
    for start in range(0, rows, ROW_BLOCK):
        block = np.zeros((min(ROW_BLOCK, rows - start), columns), dtype)
        for matrix in tall:
            block += matrix[start : start + ROW_BLOCK]
        gram += block.T @ block
    return np.clip(np.linalg.eigvalsh(gram).astype(np.float64), 0.0, None)
