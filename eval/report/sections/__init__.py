"""What a report is made of, one section a file: figures, each with the tables behind it."""
