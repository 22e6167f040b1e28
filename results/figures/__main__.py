"""Draws the paper's figures: `python -m results.figures --run_dirs=runs/seed0,runs/seed1 --figure=1` (results/paper_figures.py)."""

from results import paper_figures

__doc__ = paper_figures.__doc__

if __name__ == "__main__":
    paper_figures.run()
