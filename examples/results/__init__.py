"""The figures of the documents, measured, stored here and written into the text: examples.results"""
