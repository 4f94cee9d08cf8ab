"""Every picture once: Vega-Lite specifications over named data, made once and shared: combined, but never changed."""
