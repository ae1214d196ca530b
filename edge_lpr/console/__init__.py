"""What a command shows and hears: progress, tables, colours, Ctrl-C."""
