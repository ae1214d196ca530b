"""What a plate is: kinds, formats, characters."""
