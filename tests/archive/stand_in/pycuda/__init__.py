"""In pycuda's place where no network is run: a GPU with a name, for what builds and looks for engines."""
