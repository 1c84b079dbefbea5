"""The layers, a file for each kind; `dispatch` chooses by operation and by kind."""
