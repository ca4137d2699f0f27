"""Files of this machine that commands read, send and write."""
