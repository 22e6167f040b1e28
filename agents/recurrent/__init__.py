"""What the recurrent agents share: the LSTM, the objective, and exploration in straight lines."""
