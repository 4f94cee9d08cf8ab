"""Every picture once: Vega-Lite specifications over named data, drawn in the page's browser and into files alike.

A specification holds no data. A page hands rows over as its ``datasets``, a file is drawn from the same rows; whatever
is derived from them, a transform inside the specification derives. Specifications are made once and shared: they are
combined with others, never changed.
"""
