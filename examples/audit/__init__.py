"""The chapter, statement by statement, and what is found on computing it: python -m examples.audit"""
