"""Networks around X-volution: residual networks, and what takes the place of their convolutions."""
