"""Formal proofs of the hardware: ``python -m scripts.prove`` runs them all, `tests.proofs.catalogue` lists them."""
