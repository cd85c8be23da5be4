"""One module a command. None imports Keras before it runs."""
