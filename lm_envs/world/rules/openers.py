"""How a review starts: the prompts. They are neutral, so that the sentiment stays open.

``opening`` is a clause without its end. A prompt is the clause with a full stop, or with ", and" to be continued.
The words ``PRODUCT`` and ``a`` stand for the product's name and for either article.
"""

OPENERS = """
opener = {opening} .
opened = {opening} , and {clause.any} {end}
ending.$v = {clause.$v} {end}
first = {opener} | {opened} | {sentence.any}
begun = {opening} , and
header = review of the PRODUCT : | my review of the PRODUCT : | PRODUCT review : | about the PRODUCT :
header = my thoughts on the PRODUCT :
header = notes on the PRODUCT : | a few words about the PRODUCT :

this = these/this:$p
got = bought | got | ordered | picked
new = new | [0.5] small | [0.5] big | [0.5] modern | [0.5] simple | [0.5] red | [0.5] blue | [0.5] green
new = [0.5] black
one = {if.count} a {new?} PRODUCT | {if.mass} some PRODUCT | {if.pl} some {new?} PRODUCT | [2] {this} PRODUCT
i = I | we

# Things
opening
    {if.thing} {i} {got} {one} {when}
    {if.thing} {i} {got} {this} PRODUCT {at.shop} {when}
    {if.thing} {i} {got} {one} for {my} {relative} {when?}
    {if.thing} {my} {relative} gave me {this} PRODUCT {for.occasion?}
    {if.thing} {my} {relative} {got} {this} PRODUCT for me {when?}
    {if.thing} {i} have had {this} PRODUCT for {duration}
    {if.thing} {i} have {verb.done} {this} PRODUCT for {duration}
    {if.thing} {i} have {verb.done} {this} PRODUCT {place} for {duration}
    {if.thing} {i} {verb.past} the PRODUCT {place} {when}
    {if.thing} {this} PRODUCT arrived {when}
    {if.thing} {i} {verb.base} {this} PRODUCT {place}
    {if.thing} {i} {verb.base} {this} PRODUCT {often}
    {if.thing} {i} received {this} PRODUCT {for.occasion} {when?}
    {if.thing} {i} needed {one} for {my} {occasion}
    {if.thing} I was looking for {one}
    {if.thing} we were looking for {one}
    {if.thing} {my} {relatives} {verb.base} {this} PRODUCT {often}
    {if.thing} {i} ordered {one} and got them/it:$p {on.weekday}
    {if.home} {i} {got} {one} for {my} {homeroom} {when?}
    {if.home} {i} put the PRODUCT {place} {when?}
    {if.office} {i} {got} {this} PRODUCT for {my} {officework} {when?}
    {if.wear} {i} {got} {one} for the {season}
    {if.wear} {i} wore {this} PRODUCT to {a.occasion} {when?}
    {if.travel} {i} took {this} PRODUCT on {a.trip} {when?}
    {if.ride} {i} ride {this} PRODUCT to {worksite} {often}
    {if.eat} {i} had {this} PRODUCT for {meal} {when}
    {if.eat} {i} tried {one} with {my} {relative} {when?}
    {if.work} {i} {got} {this} PRODUCT to repair {my} {repaired}
    {if.music} {i} {got} {this} PRODUCT to learn music {when?}
    {if.music} {my} {relative} plays {this} PRODUCT {place}
at.shop = online | at the market | in a small shop | in town | at a sale | from a catalogue
for.occasion = for {my} {occasion}
on.weekday = on {weekday}
homeroom = bedroom | kitchen | office | house | flat | cabin | study | living room
officework = office | work | studies | job | travels
a.occasion = a party | a wedding | work | school | a dinner | a festival
a.trip = a trip | a long trip | a short trip | {my} holiday | {my} last trip
worksite = work | school | the station | the shop | the office
meal = breakfast | lunch | dinner | a snack
repaired = fence | roof | shed | old house | garage | table | door

# Stories, films, music
opening
    {if.story} {i} {verb.past} {this} PRODUCT {when}
    {if.story} {i} {verb.past} {this} PRODUCT with {my} {relative} {when?}
    {if.story} {i} {verb.past} the PRODUCT {place} {when?}
    {if.story} {my} {relative} told me about {this} PRODUCT {when?}
    {if.story} {my} {relative} {verb.past} {this} PRODUCT {when?} and told me about it
    {if.story} {i} finished {this} PRODUCT {when}
    {if.story} {i} heard about {this} PRODUCT {when}
    {if.story} {my} {relatives} {verb.past} {this} PRODUCT {when}
    {if.story} {this} PRODUCT came out {when}
    {if.show} {i} went to see the PRODUCT with {my} {relatives} {when?}

# Visits
opening
    {if.food} {i} ate at the PRODUCT {when}
    {if.food} {i} ate at the PRODUCT with {my} {relatives} {when?}
    {if.food} {i} had {meal.out} at {this} PRODUCT {when}
    {if.food} {my} {relative} took me to {this} PRODUCT for {meal.out} {when?}
    {if.food} {i} met {my} {relative} at the PRODUCT for {meal.out} {when?}
    {if.food} {i} booked a table at the PRODUCT for {my} {occasion}
    {if.stay} {i} stayed at the PRODUCT for {nights} {when?}
    {if.stay} {i} stayed at {this} PRODUCT with {my} {relatives} {when?}
    {if.stay} {i} spent {nights} at the PRODUCT {when?}
    {if.stay} {i} booked a room at the PRODUCT for {nights} {when?}
    {if.stay} {my} {relative} booked the PRODUCT for {my} {occasion}
    {if.visit} {i} went to the PRODUCT with {my} {relatives} {when?}
    {if.visit} {i} went to {this} PRODUCT {when}
    {if.visit} {i} visited the PRODUCT {when}
    {if.visit} {i} visited {this} PRODUCT with {my} {relative} {when?}
    {if.visit} {my} {relative} told me about {this} PRODUCT {when?}
    {if.visit} {my} {relatives} wanted to see the PRODUCT {when?}
    {if.tour} {i} spent a {daytime} at the PRODUCT with {my} {relative}
    {if.tour} {i} took {my} {relatives} to the PRODUCT {when?}
meal.out = lunch | dinner | {my} {occasion}
daytime = day | morning | afternoon | whole day
"""
