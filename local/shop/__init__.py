"""A made-up shop in DLsite's markup: works that do not exist, their pages, and a server that shows them."""
