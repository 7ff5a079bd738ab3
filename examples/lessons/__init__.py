"""The lessons of the chapter as notebooks, made from one readable source each: python -m examples.lessons"""
