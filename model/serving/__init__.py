"""What runs in the classifier's image: from an item's text to a score with reasons. It needs no torch."""
