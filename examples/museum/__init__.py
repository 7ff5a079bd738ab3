"""Real and classic bugs of hand-written networks, and what finds them: python -m examples.museum"""
