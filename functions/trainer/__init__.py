"""The trainer: it refits the head on the owner's labels each night and decides which head is active."""
