"""How cost grows: with the batch, with the window, with the number of stages.

``python -m bench.scaling`` sweeps one model on virtual devices with a core each, as far as there are enough, and
writes a section with a figure, a paragraph and a table for each series.

``series`` says what is varied and which cells that takes, ``compute`` makes points of the rows, ``words`` says what
they show, ``figures`` draws them, ``command`` puts it together.
"""
