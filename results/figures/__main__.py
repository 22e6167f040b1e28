"""Draws the paper's figures: `python -m results.figures --run_dirs=runs/A,runs/B --figure=1`."""

from results import paper_figures

__doc__ = paper_figures.__doc__

if __name__ == "__main__":
    paper_figures.run()
