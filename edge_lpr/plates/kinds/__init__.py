"""One module per kind of plate, which registers a `PlateKind`; `edge_lpr.plates.registry` finds them all.

A further file here is all that a further kind needs: it is read (where the head of a bundle has its
characters) and rendered in its share, and its characters join `PLATE_CHARSET`. A character that no kind had
before needs a glyph: `python -m edge_lpr.finetune.synthesis.glyphs` makes the atlases anew.
"""
