"""One offline page on which the backward pass of TinyCNN can be touched: the third twin, in JavaScript."""
