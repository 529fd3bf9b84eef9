"""Partners: what plays the user. By name ``agenda``, ``lm`` or ``replay``; or a class or function of your own.

Your own batched partner becomes available to ``gym.make("Dialogue-v0", partner="mine")`` by

    lm_envs.dialogue.partners.register("mine", MyPartners)
"""

from lm_envs.dialogue.partners.protocol import UNLIMITED, Acts, Message, Opening, Partner, Partners, Reply
from lm_envs.dialogue.partners.registry import get, make_partners, names, register

__all__ = [
    "UNLIMITED",
    "Acts",
    "Message",
    "Opening",
    "Partner",
    "Partners",
    "Reply",
    "get",
    "make_partners",
    "names",
    "register",
]
