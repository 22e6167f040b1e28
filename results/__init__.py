"""Records of a run, their statistics, and the report: the end of the line, which imports nothing of ours."""

import logging

# The first picture on a machine makes matplotlib index its fonts, which is no news of a run.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
