"""`python -m embedded.plugins.language ENGINE_ADDRESS`: what the engine starts."""

from embedded.plugins.language.host import main

main()
