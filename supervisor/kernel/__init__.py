"""The only room with ctypes, ioctl numbers and raw system calls: small typed wrappers, one error class."""
