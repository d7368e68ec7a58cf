"""How a head learns from labels: what the trainer's image and `python -m model train` both run. Needs scikit-learn."""
