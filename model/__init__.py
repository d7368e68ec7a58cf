"""The model of the owner's taste: from an item's text to a score with reasons.

Serving needs numpy, onnxruntime and tokenizers only; torch is imported by `export` and `starter` alone.
"""
