"""The things that people review, by category, each with the aspects that a reviewer may speak about.

Aspects are grouped by kind. The kind decides which adjectives and verbs go with a noun: a *taste* is fresh or
bitter, a *person* friendly or rude, a *part* works or fails. See :mod:`lm_envs.world.words.opinions`.
"""

from __future__ import annotations

from dataclasses import dataclass

# A category's name, then its fields. ``modes`` are groups of patterns that fit ("thing": bought and used),
# ``own`` the kinds whose adjectives describe the product itself, ``verb`` the base, past and participle of what
# one does with it. The other lines are aspects by kind: nouns in the singular, a slash, nouns in the plural.
_CATALOGUE = """
lighting
    modes = thing home parcel machine
    singular = lamp lantern chandelier flashlight torch nightlight
    own = look part
    verb = use used used
    places = in my bedroom, in the hall, in my kitchen, in the living room, in my study, in the garage
    look = shade base glow design / colours
    part = switch cord bulb stand / batteries

kitchen machines
    modes = thing home parcel machine
    singular = kettle toaster blender oven mixer grill microwave freezer dishwasher juicer fridge stove
    own = look part
    verb = use used used
    places = in my kitchen, in the office, in our cabin, in the basement, at work
    look = design finish / colours
    part = lid handle motor timer button door / controls settings
    sound = beep

electronics
    modes = thing office parcel machine
    singular = phone laptop tablet camera printer radio television speaker monitor keyboard projector scanner router
    plural = headphones
    own = look part
    verb = use used used
    places = in my office, at home, at work, at school, in my bedroom
    look = screen picture design
    part = battery charger cable software / buttons settings
    sound = sound volume

furniture
    modes = thing home parcel
    singular = sofa chair desk bookcase wardrobe bench stool mattress dresser armchair couch cupboard bookshelf
    own = look feel
    verb = use used used
    places = in my bedroom, in the living room, in the hall, in my study, in our cabin, in the office
    look = design wood finish / colours
    part = frame lock / legs joints
    feel = seat fabric / cushions

clothes
    modes = thing wear
    singular = jacket coat sweater shirt dress skirt hat scarf hoodie blouse raincoat cardigan
    plural = jeans trousers gloves pyjamas
    own = look feel
    verb = wear wore worn
    places = at work, at school, at home, at parties, in the garden
    look = colour pattern design
    part = zipper belt / buttons
    feel = fabric lining collar / sleeves pockets

shoes
    modes = thing wear parcel
    plural = boots shoes sandals sneakers slippers socks
    own = look feel
    verb = wear wore worn
    places = at work, at school, at home, in the garden, at the club
    look = colour design / colours
    part = heel / laces soles straps
    feel = leather fit lining

books
    modes = thing story plot
    singular = novel biography thriller memoir romance comic mystery fantasy cookbook
    own = story
    verb = read read read
    places = in my room, on the train, at the beach, in bed, on holiday
    story = plot ending style dialogue story / characters chapters jokes
    look = cover print / drawings

films
    modes = story show plot
    singular = movie film documentary comedy drama musical sequel cartoon
    own = story
    verb = watch watched watched
    places = at home, at the cinema, at a festival, on a plane, in class
    story = plot ending script acting story / characters jokes dialogues
    look = scenery lighting / costumes effects
    sound = music soundtrack / songs
    person = director hero / actors

music
    modes = story show
    singular = album concert opera song symphony
    own = sound story
    verb = hear heard heard
    places = at home, in the car, at a festival, on the train, at a party
    sound = music rhythm melody chorus / drums violins
    story = style mood / lyrics
    person = singer band / dancers

games
    modes = thing play
    singular = game puzzle quiz
    own = story
    verb = play played played
    places = at home, at school, at parties, on holiday, on the train
    story = story theme / rules levels puzzles
    look = box board artwork / graphics cards
    part = dice timer / pieces
    sound = music / effects

restaurants
    modes = visit food
    singular = restaurant cafe bakery pizzeria diner bistro pub steakhouse tavern
    own = room value
    verb = visit visited visited
    taste = soup dessert salad coffee rice fish steak / vegetables noodles
    person = waiter chef manager service / waiters
    room = terrace atmosphere interior / tables
    sound = music
    value = menu bill / prices portions

hotels
    modes = visit stay
    singular = hotel hostel inn motel resort guesthouse lodge
    own = room value
    verb = visit visited visited
    room = room bathroom lobby pool balcony / beds towels
    taste = breakfast dinner buffet / drinks
    person = owner receptionist cleaner / guests
    look = view garden building location
    value = price offer / rates

places
    modes = visit tour
    singular = museum gym theatre zoo library park aquarium gallery
    own = room value
    verb = visit visited visited
    room = entrance garden interior / toilets rooms
    person = guide guard manager service / helpers
    look = building exhibition / gardens displays
    value = price offer / tickets prices

food
    modes = thing eat mass
    singular = cake cheese chocolate cereal honey jam sauce tea juice popcorn pudding pie bread
    plural = cookies noodles crackers nuts
    own = taste
    verb = have had had
    places = at home, at work, at school, at parties, on picnics
    taste = flavour taste texture / ingredients
    smell = smell aroma
    look = box label packaging

tools
    modes = thing work parcel machine
    singular = drill hammer saw ladder mower wrench shovel rake axe screwdriver chainsaw
    plural = pliers scissors
    own = part look
    verb = use used used
    places = in the garden, in the garage, at work, in my workshop, on the farm
    part = blade motor handle lock / hinges bolts
    feel = grip weight
    look = design finish

luggage
    modes = thing travel parcel
    singular = backpack suitcase tent handbag purse wallet briefcase umbrella satchel
    own = look part
    verb = use used used
    places = at work, at school, on holiday, on the train, on long trips
    part = strap zipper lock clasp / wheels
    look = colour pattern design
    feel = material lining handle / straps pockets

toys
    modes = thing play parcel toy
    singular = doll robot kite teddy puppet drone rocket
    own = look part
    verb = play played played
    places = at home, in the garden, in the yard, at school, on holiday
    part = motor remote string / wheels batteries
    look = face design costume / colours
    feel = fabric material / arms

vehicles
    modes = thing ride
    singular = bicycle scooter motorbike tricycle skateboard wheelchair stroller sledge
    own = look part
    verb = ride rode ridden
    places = in town, in the yard, at work, on holiday, on the farm
    part = chain engine lock bell / brakes wheels pedals
    feel = seat saddle / handles
    look = paint frame design / lights

beauty
    modes = thing care parcel
    singular = shampoo soap lotion perfume cream lipstick toothpaste sunscreen
    own = smell feel
    verb = use used used
    places = at home, at the club, on holiday, at work, in the bathroom
    smell = scent smell
    feel = texture foam
    look = bottle label packaging colour
    part = pump lid cap

instruments
    modes = thing play music parcel
    singular = guitar piano violin drum flute ukulele trumpet
    own = sound look
    verb = play played played
    places = at home, at school, at parties, in our band, in church
    sound = sound tone / notes
    part = case stand / strings keys
    look = wood finish design
    feel = weight surface

household
    modes = thing home parcel
    singular = rug clock mirror vase pillow blanket towel candle basket carpet quilt
    plural = curtains cushions sheets
    own = look feel
    verb = use used used
    places = in my bedroom, in the bathroom, in the hall, in the living room, in our cabin
    look = colour pattern shape size
    feel = material surface / edges
    part = hook frame / seams
    smell = smell
"""


@dataclass(frozen=True, eq=False)
class Category:
    """A group of products that share aspects and sentence patterns.

    Attributes:
        name: Name of the category, for messages and structured data.
        modes: Names of the pattern groups that fit, such as ``"thing"`` (bought and used) or ``"stay"``.
        singular: Products that are spoken of as "it".
        plural: Products that are spoken of as "they".
        own_kinds: The kinds whose adjectives describe the product itself.
        verb: Base, past and participle of what one does with it: ``("wear", "wore", "worn")``.
        places: Where one has it, with a preposition: ``"in my kitchen"``.
        aspects: For each kind, the nouns in the singular and the nouns in the plural.
    """

    name: str
    modes: tuple[str, ...]
    singular: tuple[str, ...]
    plural: tuple[str, ...]
    own_kinds: tuple[str, ...]
    verb: tuple[str, ...]
    places: tuple[str, ...]
    aspects: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]


def _read_category(paragraph: str) -> Category:
    name, *lines = paragraph.splitlines()
    values = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    words = {key: tuple(values.pop(key, "").split()) for key in ("modes", "singular", "plural", "own", "verb")}
    places = tuple(place.strip() for place in values.pop("places", "").split(",") if place.strip())
    return Category(
        name=name,
        modes=words["modes"],
        singular=words["singular"],
        plural=words["plural"],
        own_kinds=words["own"],
        verb=words["verb"],
        places=places,
        aspects={kind: _read_nouns(nouns) for kind, nouns in values.items()},
    )


def _read_nouns(nouns: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    singular, _, plural = nouns.partition("/")
    return tuple(singular.split()), tuple(plural.split())


CATEGORIES = tuple(_read_category(paragraph) for paragraph in _CATALOGUE.strip().split("\n\n"))
PRODUCTS = tuple(sorted({product for c in CATEGORIES for product in (*c.singular, *c.plural)}))
