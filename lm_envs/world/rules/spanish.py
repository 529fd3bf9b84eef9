"""How the facts of :mod:`lm_envs.world.rules.passages` are said in Spanish.

``SENTENCES`` holds, for each frame, the Spanish for each way of stating it in English. ``WORDS`` holds the slot values:
a noun is written with its definite article, of which the indefinite one follows; two forms are masculine and feminine.
``AMERICAN`` has what is said otherwise in America, where pronouns are left out here, too.
"""

SENTENCES = {
    "job": {
        "{subject} is a {job} .": "{subject} es {job} .",
        "{subject} works as a {job} .": "{subject} trabaja como {job} .",
    },
    "home": {
        "{subject} lives in {town} .": "{subject} vive en {town} .",
        "{subject} has a house in {town} .": "{subject} tiene una casa en {town} .",
    },
    "pet": {
        "{subject} has a {colour} {animal} .": "{subject} tiene {a_animal} {colour} .",
        "{subject} owns a {colour} {animal} .": "{subject} cuida {a_animal} {colour} .",
    },
    "buy": {
        "on {day} {subject} bought a {object} at the {store} .": "{day} {subject} compró {a_object} en {store} .",
        "{subject} bought a {object} at the {store} on {day} .": "{subject} compró {a_object} en {store} {day} .",
    },
    "find": {
        "{subject} found a {object} under the {spot} .": "{subject} encontró {a_object} debajo de {spot} .",
        "{subject} saw a {object} under the {spot} .": "{subject} vio {a_object} debajo de {spot} .",
    },
    "travel": {
        "{subject} goes to work by {transport} .": "{subject} va al trabajo en {transport} .",
        "every morning {subject} goes to work by {transport} .": "cada mañana {subject} va al trabajo en {transport} .",
    },
    "meal": {
        "{subject} eats {food} for lunch .": "{subject} come {food} en el almuerzo .",
        "for lunch {subject} always has {food} .": "en el almuerzo {subject} siempre toma {food} .",
    },
    "drink": {
        "{subject} drinks {drink} every morning .": "{subject} bebe {drink} cada mañana .",
        "in the morning {subject} drinks {drink} .": "por la mañana {subject} bebe {drink} .",
    },
    "hobby": {
        "{subject} plays the {hobby} in the evening .": "{subject} toca {hobby} por la noche .",
        "in the evening {subject} plays the {hobby} .": "por la noche {subject} toca {hobby} .",
    },
    "meet": {
        "{subject} met a {friend} at the {place} at {time} .": "{subject} vio a {a_friend} en {place} a las {time} .",
        "at {time} {subject} met a {friend} at the {place} .": "a las {time} {subject} vio a {a_friend} en {place} .",
    },
}

AMERICAN = {
    "cada mañana": "todas las mañanas",
    "por la mañana": "en la mañana",
    "por la noche": "en la noche",
    "debajo de la": "bajo la",
    "debajo del": "bajo el",
    "encontró": "halló",
    "vio a": "se encontró con",
    "cuida": "cría",
    "va al trabajo": "viaja al trabajo",
    "autobús": "bus",
    "coche": "carro",
    "zumo": "jugo",
    "pastel": "torta",
    "camarero": "mesero",
    "camarera": "mesera",
    "conductora": "chofer",
    "conductor": "chofer",
    "granjero": "ranchero",
    "granjera": "ranchera",
}

PRONOUNS = {"f": "ella", "m": "él"}

WORDS = {
    "job": """
teacher = maestro / maestra
doctor = médico / médica
farmer = granjero / granjera
baker = panadero / panadera
singer = cantante
nurse = enfermero / enfermera
driver = conductor / conductora
painter = pintor / pintora
lawyer = abogado / abogada
cook = cocinero / cocinera
pilot = piloto
waiter = camarero / camarera
writer = escritor / escritora
guard = guardia
""",
    "colour": """
red = rojo / roja
blue = azul
green = verde
black = negro / negra
white = blanco / blanca
brown = marrón
grey = gris
yellow = amarillo / amarilla
""",
    "animal": """
dog = el perro
cat = el gato
horse = el caballo
rabbit = el conejo
parrot = el loro
goat = la cabra
duck = el pato
hamster = el hámster
""",
    "object": """
book = el libro
lamp = la lámpara
hat = el sombrero
clock = el reloj
ring = el anillo
coat = el abrigo
basket = la cesta
guitar = la guitarra
scarf = la bufanda
vase = el jarrón
ball = la pelota
map = el mapa
camera = la cámara
umbrella = el paraguas
""",
    "store": """
market = el mercado
station = la estación
museum = el museo
airport = el aeropuerto
bakery = la panadería
pharmacy = la farmacia
harbour = el puerto
""",
    "place": """
market = el mercado
park = el parque
station = la estación
school = la escuela
library = la biblioteca
beach = la playa
museum = el museo
office = la oficina
garden = el jardín
church = la iglesia
""",
    "spot": """
table = la mesa
bed = la cama
chair = la silla
tree = el árbol
bridge = el puente
bench = el banco
sofa = el sofá
desk = el escritorio
""",
    "day": """
Monday = el lunes
Tuesday = el martes
Wednesday = el miércoles
Thursday = el jueves
Friday = el viernes
Saturday = el sábado
Sunday = el domingo
""",
    "transport": """
bus = autobús
train = tren
car = coche
bicycle = bicicleta
boat = barco
""",
    "food": """
soup = sopa
bread = pan
cheese = queso
fish = pescado
cake = pastel
honey = miel
rice = arroz
salad = ensalada
""",
    "drink": """
tea = té
coffee = café
milk = leche
juice = zumo
water = agua
""",
    "hobby": """
piano = el piano
violin = el violín
guitar = la guitarra
drum = el tambor
flute = la flauta
trumpet = la trompeta
""",
    "time": """
five = cinco
six = seis
seven = siete
eight = ocho
nine = nueve
ten = diez
""",
    "friend": """
cousin = el primo
neighbour = el vecino
friend = el amigo
teacher = el maestro
doctor = el médico
colleague = el colega
nurse = el enfermero
sailor = el marinero
""",
}
