"""The control plane of a reloadable unit: what software writes and reads, and how it reaches the stages."""
