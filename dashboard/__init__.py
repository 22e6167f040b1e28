"""The live page of one or more runs. Reads run directories; imports only `results` of ours."""

from results import interrupts

interrupts.end_quietly()
