"""What a job will cost: figures of a machine, and what follows from them."""
