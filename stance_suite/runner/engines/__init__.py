"""Where the cells of a sweep are measured: here, in several processes, on a Ray cluster."""
