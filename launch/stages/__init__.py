"""The three stages of a run as functions that take values: training, evaluation (selection and test), report."""
