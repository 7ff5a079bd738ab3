"""Code in somebody else's interface: recognise it, and put it behind the library's.

    names       what people call classes, arguments and arrays
    layouts     how they order the axes of images and weights
    calls       call a function by the names of its parameters; find arrays in objects
    given       what an optimiser is given: arrays, layers and networks under people's names
    layers, modes, losses, optimizers    an adapter each, with the library's interface
    find        what a file defines, by name
    recognise   which manner fits, by trying

NumPy alone: this runs in the process of a student's file. A student's class is never altered.
"""
