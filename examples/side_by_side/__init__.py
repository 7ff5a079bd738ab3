"""TinyCNN by hand beside TinyCNN in PyTorch, as a table and as a page, both made from the code itself."""
