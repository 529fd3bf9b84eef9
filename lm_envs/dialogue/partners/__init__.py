"""Partners: what plays the user. By name ``agenda``, ``lm`` or ``replay``; or a class or function of your own."""

from lm_envs.dialogue.partners.protocol import UNLIMITED, Acts, Message, Opening, Partner, Partners, Reply

__all__ = ["UNLIMITED", "Acts", "Message", "Opening", "Partner", "Partners", "Reply"]
