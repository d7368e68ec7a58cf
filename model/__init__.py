"""The model of the owner's taste: turns an item's text into a score with reasons.

Serving needs only numpy, onnxruntime and tokenizers.
"""
