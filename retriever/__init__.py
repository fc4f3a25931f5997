"""The two towers: encoders, losses, training and embedding jobs."""
