"""Derivatives by differences, with an estimate of their own error, and verdicts on gradients that claim to be right."""
