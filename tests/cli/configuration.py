"""Pieces of configuration files for tests of the command line."""

OPEN = "[registry]\nrequired=false\n[[listeners]]\nhost='127.0.0.1'\nport=0\nallow_unauthenticated=true\n"
SMALL = "[streams]\ntx_max_bytes=67108864\nevents_max_bytes=67108864\ncommands_max_bytes=67108864\n"
