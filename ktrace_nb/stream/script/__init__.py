"""The part of a script that runs beside the notebook."""
