"""One cell after another in this process."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from stance_suite.engines.orders import Order, Outcome, Site
from stance_suite.engines.worker import measure_order


def measure_serially(orders: Sequence[Order], site: Site) -> Generator[Outcome]:
    """Measure one cell after another.

    Parameters
    ----------
    orders : sequence of Order
        The cells.
    site : Site
        What workers share.

    Yields
    ------
    Outcome
        In the order of the orders.
    """
    for order in orders:
        yield measure_order(order, site)
