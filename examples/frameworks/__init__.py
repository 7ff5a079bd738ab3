"""The same CNN in four frameworks, from one weights file: python -m examples.frameworks"""
