"""What the two pages on this machine share: the guard, and opening a browser."""
