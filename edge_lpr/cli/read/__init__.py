"""The command without a name: it reads plates."""
