"""The layers, a file or a folder for each kind; `dispatch` chooses by kind."""
