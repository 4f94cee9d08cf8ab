"""Where cells of a sweep are measured: one after another, in processes of this machine, or on a Ray cluster.

An engine takes orders and yields their outcomes as they come. Records travel through the store, not through the engine:
whatever becomes of the engine, finished cells are kept, and the next run measures the others.
"""

from stance_suite.engines.orders import Engine, Order, Outcome, Site
from stance_suite.engines.processes import measure_in_processes
from stance_suite.engines.worker import measure_serially

__all__ = ["Engine", "Order", "Outcome", "Site", "measure_in_processes", "measure_serially"]
