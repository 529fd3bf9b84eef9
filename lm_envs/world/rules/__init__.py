"""The sentence patterns of the world, in the notation of :mod:`lm_envs.world.grammar`."""
