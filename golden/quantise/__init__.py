"""Whole networks in integers: as they run, quantised after training, and trained while quantised."""
