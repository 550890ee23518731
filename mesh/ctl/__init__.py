"""meshctl: the operator's command line. Imports what is slow (kubernetes, ruamel.yaml) only in the verbs that need it."""
