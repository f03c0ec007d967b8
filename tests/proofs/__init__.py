"""Formal proofs of the hardware: ``python -m scripts.prove`` runs them all, `proofs.catalogue` lists them."""
