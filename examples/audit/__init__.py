"""What the chapter says, statement by statement, and what is found when it is computed: python -m examples.audit"""
