"""The chapter's exercises 31.1 to 31.4, solved on both sides: python -m examples.exercises 31.1"""
