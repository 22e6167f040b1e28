"""The stages of a run as functions: training, evaluation (selection and test), tuning."""
