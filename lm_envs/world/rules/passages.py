"""Facts about people, and questions about them.

``fact.FRAME.G`` states a fact about a person of gender G (``f`` or ``m``), whose subject is a name or a pronoun.
``question.FRAME.SLOT.G`` asks for one slot of that fact.
"""

SLOT_VALUES = """
name.f = Anna | Maria | Emma | Julia | Sara | Nina | Clara | Ruth | Alice | Laura
name.m = Tom | Peter | David | Oscar | Paul | Leo | Mark | Hugo | Simon | Martin
pronoun.f = she
pronoun.m = he
job = teacher | doctor | farmer | baker | singer | nurse | driver | painter | lawyer | cook | pilot
job = waiter | writer | guard
town = Oakton | Milford | Riverside | Ashfield | Westbury | Lakewood | Kingston | Brighton
animal = dog | cat | horse | rabbit | parrot | goat | duck | hamster
colour = red | blue | green | black | white | brown | grey | yellow
object = book | lamp | hat | clock | ring | coat | basket | guitar | scarf | vase | ball | map | camera
object = umbrella
store = market | station | museum | airport | bakery | pharmacy | harbour
place = market | park | station | school | library | beach | museum | office | garden | church
spot = table | bed | chair | tree | bridge | bench | sofa | desk
day = Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
transport = bus | train | car | bicycle | boat
food = soup | bread | cheese | fish | cake | honey | rice | salad
drink = tea | coffee | milk | juice | water
hobby = piano | violin | guitar | drum | flute | trumpet
time = five | six | seven | eight | nine | ten
friend = cousin | neighbour | friend | teacher | doctor | colleague | nurse | sailor
"""

FACTS = """
subject.$g = {name.$g} | {pronoun.$g}
fact.job.$g = {subject.$g} is a {job} . | {subject.$g} works as a {job} .
fact.home.$g = {subject.$g} lives in {town} . | {subject.$g} has a house in {town} .
fact.pet.$g = {subject.$g} has a {colour} {animal} . | {subject.$g} owns a {colour} {animal} .
fact.buy.$g
    on {day} {subject.$g} bought a {object} at the {store} .
    {subject.$g} bought a {object} at the {store} on {day} .
fact.find.$g = {subject.$g} found a {object} under the {spot} .
fact.find.$g = {subject.$g} saw a {object} under the {spot} .
fact.travel.$g = {subject.$g} goes to work by {transport} .
fact.travel.$g = every morning {subject.$g} goes to work by {transport} .
fact.meal.$g = {subject.$g} eats {food} for lunch . | for lunch {subject.$g} always has {food} .
fact.drink.$g = {subject.$g} drinks {drink} every morning . | in the morning {subject.$g} drinks {drink} .
fact.hobby.$g = {subject.$g} plays the {hobby} in the evening .
fact.hobby.$g = in the evening {subject.$g} plays the {hobby} .
fact.meet.$g
    {subject.$g} met a {friend} at the {place} at {time} .
    at {time} {subject.$g} met a {friend} at the {place} .

question.job.job.$g = what is the job of {name.$g} ? | what does {name.$g} work as ?
question.home.town.$g = where does {name.$g} live ? | in which town is the house of {name.$g} ?
question.pet.animal.$g = what animal does {name.$g} have ? | which animal does {name.$g} own ?
question.pet.colour.$g = what colour is the animal of {name.$g} ?
question.pet.colour.$g = which colour does the animal of {name.$g} have ?
question.buy.object.$g = what did {name.$g} buy ? | what did {name.$g} buy at the {store} ?
question.buy.store.$g = where did {name.$g} buy the {object} ? | where did {name.$g} buy something ?
question.buy.day.$g = when did {name.$g} buy the {object} ? | on which day did {name.$g} buy something ?
question.find.object.$g = what did {name.$g} find ? | what was under the {spot} that {name.$g} saw ?
question.find.spot.$g = where did {name.$g} find the {object} ? | where did {name.$g} see something ?
question.travel.transport.$g = how does {name.$g} go to work ? | how does {name.$g} get to work ?
question.meal.food.$g = what does {name.$g} eat for lunch ? | what does {name.$g} have for lunch ?
question.drink.drink.$g = what does {name.$g} drink ? | what does {name.$g} drink every morning ?
question.hobby.hobby.$g = what does {name.$g} play in the evening ? | which instrument does {name.$g} play ?
question.meet.friend.$g = who did {name.$g} meet ? | who did {name.$g} meet at the {place} ?
question.meet.place.$g = where did {name.$g} meet a {friend} ? | where did {name.$g} meet someone ?
question.meet.time.$g = at what time did {name.$g} meet a {friend} ? | when did {name.$g} meet someone ?

passage.sentence = {fact.$r.$g}
question = {question.$r.$s.$g}
answer = {$s} | {unknown}
unknown = unknown
"""
