"""The web page of ``lm-envs label``: served on loopback, rendered by the server, usable without JavaScript."""
