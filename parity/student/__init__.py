"""Examine what a student wrote."""
