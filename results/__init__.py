"""Records of a run, their statistics, and the report; imports none of our other packages."""

import logging

from results import interrupts

interrupts.end_quietly()

# matplotlib logs that it indexes fonts when it first draws on a machine: noise in a run's output.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
