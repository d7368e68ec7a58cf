"""The classifier: `POST /predict` scores items with the model package."""
