"""`comfy_execution`: graphs, blockers and the builder of sub-graphs."""
