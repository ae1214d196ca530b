"""One module per kind of plate; `edge_lpr.plates.registry` finds them all."""
