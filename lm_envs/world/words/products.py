"""The things that people review, by category, each with the aspects that a reviewer may speak about.

Aspects are grouped by kind. The kind decides which adjectives and verbs go with a noun: a *taste* is fresh or
bitter, a *person* friendly or rude, a *part* works or fails. See :mod:`lm_envs.world.words.opinions`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = ("look", "part", "feel", "sound", "taste", "smell", "person", "story", "room", "value")


@dataclass(frozen=True, eq=False)
class Category:
    """A group of products that share aspects and sentence patterns.

    Attributes:
        name: Name of the category, for messages and structured data.
        modes: Names of the pattern groups that fit, such as ``"thing"`` (bought and used) or ``"stay"``.
        singular: Products that are spoken of as "it".
        aspects: For each kind, the nouns in the singular and the nouns in the plural.
        own_kinds: The kinds whose adjectives describe the product itself.
        verb: Base, past and participle of what one does with it: ``("wear", "wore", "worn")``.
        places: Where one has it, with a preposition: ``"in my kitchen"``.
        plural: Products that are spoken of as "they".
    """

    name: str
    modes: tuple[str, ...]
    singular: tuple[str, ...]
    aspects: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    own_kinds: tuple[str, ...]
    verb: tuple[str, str, str]
    places: tuple[str, ...] = ()
    plural: tuple[str, ...] = field(default=())


def _aspects(**kinds: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Read ``look="shade base / colours"``: singular nouns, a slash, plural nouns."""
    read = {}
    for kind, nouns in kinds.items():
        singular, _, plural = nouns.partition("/")
        read[kind] = (tuple(singular.split()), tuple(plural.split()))
    return read


def _category(
    name: str,
    modes: str,
    products: str,
    own_kinds: str,
    verb: str,
    places: str = "",
    plural: str = "",
    **kinds: str,
) -> Category:
    base, past, participle = verb.split()
    return Category(
        name=name,
        modes=tuple(modes.split()),
        singular=tuple(products.split()),
        aspects=_aspects(**kinds),
        own_kinds=tuple(own_kinds.split()),
        verb=(base, past, participle),
        places=tuple(p.strip() for p in places.split(",") if p.strip()),
        plural=tuple(plural.split()),
    )


_USE = "use used used"

CATEGORIES = (
    _category(
        "lighting", "thing home parcel machine", "lamp lantern chandelier flashlight", "look part", _USE,
        "in my bedroom, in the hall, in my kitchen, in the living room, in my study, in the garage",
        look="shade base glow design / colours", part="switch cord bulb stand / batteries",
    ),
    _category(
        "kitchen machines", "thing home parcel machine", "kettle toaster blender oven mixer grill microwave freezer dishwasher",
        "look part", _USE, "in my kitchen, in the office, in our cabin, in the basement, at work",
        look="design finish / colours", part="lid handle motor timer button door / controls settings",
        sound="beep",
    ),
    _category(
        "electronics", "thing office parcel machine",
        "phone laptop tablet camera printer radio television speaker monitor keyboard projector", "look part", _USE,
        "in my office, at home, at work, at school, in my bedroom",
        look="screen picture design", part="battery charger cable software / buttons settings", sound="sound volume",
        plural="headphones",
    ),
    _category(
        "furniture", "thing home parcel", "sofa chair desk bookcase wardrobe bench stool mattress dresser armchair",
        "look feel", _USE,
        "in my bedroom, in the living room, in the hall, in my study, in our cabin, in the office",
        look="design wood finish / colours", part="frame drawer lock / legs joints", feel="seat fabric / cushions",
    ),
    _category(
        "clothes", "thing wear", "jacket coat sweater shirt dress skirt hat scarf hoodie blouse", "look feel",
        "wear wore worn", "at work, at school, at home, at parties, in the garden",
        look="colour pattern design", part="zipper belt / buttons pockets", feel="fabric lining collar / sleeves",
        plural="jeans trousers gloves pyjamas",
    ),
    _category(
        "shoes", "thing wear parcel", "", "look feel", "wear wore worn",
        "at work, at school, at home, in the garden, at the club",
        look="colour design / colours", part="heel / laces soles straps", feel="leather fit lining",
        plural="boots shoes sandals sneakers slippers socks",
    ),
    _category(
        "books", "thing story plot", "novel biography thriller memoir romance comic mystery fantasy", "story",
        "read read read", "in my room, on the train, at the beach, in bed, on holiday",
        story="plot ending style dialogue story / characters chapters jokes", look="cover print / drawings",
    ),
    _category(
        "films", "story show plot", "movie film documentary comedy drama musical sequel cartoon", "story",
        "watch watched watched", "at home, at the cinema, at a festival, on television, in class",
        story="plot ending script acting story / characters jokes dialogues",
        look="scenery lighting / costumes effects", sound="music soundtrack / songs", person="director hero / actors",
    ),
    _category(
        "music", "story show", "album concert opera song symphony", "sound story",
        "hear heard heard", "at home, on the radio, at a festival, on the train, with headsets",
        sound="music rhythm melody chorus / drums violins", story="style mood / lyrics", person="singer band / dancers",
    ),
    _category(
        "games", "thing play", "game puzzle quiz", "story", "play played played",
        "at home, at school, at parties, on holiday, on the train",
        story="story theme / rules levels puzzles", look="box board artwork / graphics cards", part="dice timer / pieces",
        sound="music / effects",
    ),
    _category(
        "restaurants", "visit food", "restaurant cafe bakery pizzeria diner bistro pub steakhouse", "room value",
        "visit visited visited", "",
        taste="soup dessert salad coffee bread fish steak / vegetables noodles",
        person="waiter chef manager / waiters", room="terrace atmosphere interior / tables", sound="music",
        value="menu bill service / prices portions",
    ),
    _category(
        "hotels", "visit stay", "hotel hostel inn motel resort guesthouse lodge", "room value",
        "visit visited visited", "",
        room="room bathroom lobby pool balcony / beds towels", taste="breakfast dinner buffet / drinks",
        person="owner receptionist cleaner / guests", look="view garden building", value="price service location / rates",
    ),
    _category(
        "places", "visit tour", "museum gym theatre zoo library park aquarium gallery", "room value",
        "visit visited visited", "",
        room="entrance garden interior / toilets rooms", person="guide guard manager / helpers",
        look="building exhibition / gardens displays", value="price service location / tickets prices",
    ),
    _category(
        "food", "thing eat", "cake cheese chocolate cereal honey jam sauce tea juice popcorn", "taste",
        "have had had", "at home, at work, at school, at parties, on picnics",
        taste="flavour taste texture / ingredients", smell="smell aroma", look="box label packaging",
        plural="cookies noodles crackers nuts",
    ),
    _category(
        "tools", "thing work parcel machine", "drill hammer saw ladder mower wrench shovel rake axe", "part look", _USE,
        "in the garden, in the garage, at work, in my workshop, on the farm",
        part="blade motor handle lock / hinges bolts", feel="grip weight", look="design finish", plural="pliers scissors",
    ),
    _category(
        "luggage", "thing travel parcel", "backpack suitcase tent handbag purse wallet briefcase umbrella", "look part", _USE,
        "at work, at school, on holiday, on the train, on long trips",
        part="strap zipper lock clasp / wheels pockets", look="colour pattern design", feel="material lining handle / straps",
    ),
    _category(
        "toys", "thing play parcel toy", "doll robot kite teddy puppet drone rocket", "look part", "play played played",
        "at home, in the garden, in the yard, at school, on holiday",
        part="motor remote string / wheels batteries", look="face design costume / colours", feel="fabric material / arms",
    ),
    _category(
        "vehicles", "thing ride", "bicycle scooter motorbike tricycle skateboard wheelchair stroller", "look part",
        "ride rode ridden", "in town, in the yard, at work, on holiday, on the farm",
        part="chain engine lock bell / brakes wheels pedals", feel="seat saddle / handles", look="paint frame design / lights",
    ),
    _category(
        "beauty", "thing care parcel", "shampoo soap lotion perfume cream lipstick toothpaste sunscreen", "smell feel", _USE,
        "at home, at the club, on holiday, at work, in the bathroom",
        smell="scent smell", feel="texture foam", look="bottle label packaging colour", part="pump lid cap",
    ),
    _category(
        "instruments", "thing play music parcel", "guitar piano violin drum flute ukulele trumpet", "sound look",
        "play played played", "at home, at school, at parties, in our band, in church",
        sound="sound tone / notes", part="case stand / strings keys", look="wood finish design", feel="weight surface",
    ),
    _category(
        "household", "thing home parcel", "rug clock mirror vase pillow blanket towel candle basket", "look feel", _USE,
        "in my bedroom, in the bathroom, in the hall, in the living room, in our cabin",
        look="colour pattern shape size", feel="material surface / edges", part="hook frame / seams", smell="smell",
        plural="curtains cushions sheets",
    ),
)

PRODUCTS = tuple(sorted({product for c in CATEGORIES for product in (*c.singular, *c.plural)}))
