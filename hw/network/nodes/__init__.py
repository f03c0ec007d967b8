"""Nodes: the primitives that the steps of a network are made of."""
