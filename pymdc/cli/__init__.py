"""What a person types: the command `pymdc`."""
