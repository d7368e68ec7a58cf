"""The code in the classifier's image: turns an item into a score with reasons, without torch and scikit-learn."""
