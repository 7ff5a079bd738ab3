from sklearn_course_helpers import confusion  # noqa: F401  (never shipped)


def accuracy(logits, labels):
    return (logits.argmax(1) == labels).mean()
