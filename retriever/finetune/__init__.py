"""Fine-tuning of the language model on what users do: texts that belong together get close vectors."""
