"""The command line: flags in docker's manner, one module per family of commands, imported only when run.

``main.py`` finds the command in ``catalogue.py`` and imports its module of ``commands/``; ``flags.py`` parses what it
was given, and ``options/`` has what becomes of it; ``connection.py`` finds the daemon (and ``autostart.py`` starts
one); ``again.py`` and ``once.py`` go on after its engine's death; ``output/`` prints. Everything goes through the
client, so every command works on another machine's daemon too. Only what a command needs is imported: a
command takes tens of milliseconds, and an import of trio alone would take hundreds.
"""
