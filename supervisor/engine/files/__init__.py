"""Files of containers, from outside: copied in and out, compared, and exported."""
