"""Time and weigh every block of a model in situ: the whole model is run, in order, on the stage's compute thread."""
