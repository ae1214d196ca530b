"""`edge-lpr doctor`: what this machine has, and what to install for what is missing."""
