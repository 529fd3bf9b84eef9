"""What a reviewer says after the opening sentence.

``$v`` is the valence (good or bad), ``$k`` the kind of an aspect, ``$n`` the number of an aspect and ``$p``
the number of the product. ``sentence.any`` is every sentence; ``sentence.good``, ``sentence.bad``,
``sentence.mixed`` and ``sentence.plain`` are what the generator chooses from to give a review its mood.
"""

PHRASES = """
sentence.any = {sentence.good} | {sentence.bad} | {sentence.mixed} | {sentence.plain} | [0] {sentence.odd}
clause.any = {clause.good} | {clause.bad}
end = [9] . | !
it = they/it:$p
them = them/it:$p
its = their/its:$p
deg = very | really | so | [0.5] quite
adjp.$k.$v = {deg?} {adj.$k.$v} | {deg?} {adj.any.$v} | [0.4] {absolutely?} {top.$v}
adjp.self.$v = {adjp.$o.$v} | [0.6] {absolutely?} {top.$v}
attr.$k.$v = a {adj.$k.$v} | a {truly} {adj.$k.$v} | [0.5] a {top.$v}
truly = very | really | truly
absolutely = absolutely | really | simply | just | truly
subject.$n = the {noun.$n} | [0.3] {its} {noun.$n}
noun.$n = {noun.$k.$n}
object = the {noun.sg} | the {noun.pl} | [0.5] the {noun.sg} and the {noun.pl}
product = the PRODUCT | [0.6] {this} PRODUCT | [2] {it}
product.obj = the PRODUCT | [0.6] {this} PRODUCT | [2] {them}
someone = {my} {relative}
honestly = honestly | in the end | after {duration} | to be fair | in my opinion | for me | so far | overall

"""

CLAUSES = """
# Clauses of valence v, without an end: a detail is about one aspect, a verdict about the whole product.
clause.$v = [3] {detail.$v} | [2] {verdict.$v}
detail.$v
    [5] the {noun.$k.$n} {be.$n} {adjp.$k.$v}
    [2] {subject.$n} {be.$n} {absolutely?} {top.$v}
    [2] I {really?} {admire.$v} {object}
    {someone} {loved.$v} {object}
    {someone} was {very?} {glad.$v} with {object}
    {it} {have.$p} {attr.$k.$v} {noun.$k.sg}
    {it} {have.$p} {adj.$k.$v} {noun.$k.pl}
    [0] {its} {noun.$k.$n} {be.$n} {adjp.$k.$v}
    the {noun.look.$n} look/looks:$n {adjp.look.$v} {if.now}
    the {noun.look.$n} looked {adjp.look.$v} {if.visit}
    the {noun.sound.$n} sound/sounds:$n {adjp.sound.$v}
    the {noun.taste.$n} tasted {adjp.taste.$v}
    the {noun.feel.$n} feel/feels:$n {adjp.feel.$v}
    the {noun.person.$n} were/was:$n {adjp.person.$v} to us
    the {noun.room.$n} felt {adjp.room.$v}
    the {noun.part.$n} work/works:$n {very?} {well.$v} {if.thing}
verdict.$v
    [2] {product} {be.$p} {adjp.self.$v}
    {it} {be.$p} {absolutely?} {top.$v}
    I {absolutely} {love.$v} {product.obj}
    I {love.$v} {product.obj}
    {everyone} {loved.$v} {product.obj}
    {it} made me {very?} {feeling.$v}
    I am {very?} {glad.$v} with {product.obj}
    {someone} was {very?} {glad.$v} with {product.obj}
    {it} work/works:$p {very?} {well.$v} {if.machine}
    {it} look/looks:$p {adjp.look.$v} {place} {if.decor}
    [0] {it} look/looks:$p {adjp.look.$v} {place}
    {it} fit/fits:$p {very?} {well.$v} {if.wear}
have.sg = has {if.now} | had {if.visit}
have.pl = have {if.now}
adj.self.$v = {adj.$o.$v}
very = very | really | so | [0] truly | [0] quite
everyone = everyone | everybody | {my} {relatives} | {someone} | the whole family
feeling.good = happy | glad | cheerful | proud
feeling.bad = sad | angry | unhappy | tired
if.now = {if.thing} | {if.story}
if.decor = {if.home} | {if.office}
"""

SENTENCES = """
sentence.$v
    [7] {clause.$v} {end}
    [2] {clause.$v} and {clause.$v} {end}
    [1.5] {honestly} , {clause.$v} {end}
    [0.6] I think that {clause.$v} {end}
    [0.6] {someone} says that {clause.$v} {end}
    [0.4] it is clear that {clause.$v} .
    [0.4] as {someone} said , {clause.$v} .
    [0.5] for the price , {it} {be.$p} {adjp.self.$v} .
    [0.7] {verdict.$v} , and {detail.$v} {end}
    [0.7] {detail.$v} , so {verdict.$v} {end}
    [0.5] not only {be.$p} {it} {adj.self.$v} , but {detail.$v} too {end}
    [0.5] {verdict.$v} , especially the {noun.$n} {end}
    [0.4] from the first day , {verdict.$v} {end}
    [0.5] the best part is that {clause.good} {end} {only.$v.good}
    [0.5] the worst part is that {clause.bad} {end} {only.$v.bad}
    [2] {verdict.$v} because {reason.$v} {end}
    [1] because {reason.$v} , {verdict.$v} .
    [10] {saying.$v}
reason.$v
    the {noun.$k.$n} {be.$n} {adjp.$k.$v}
    {it} {be.$p} {adjp.self.$v}
only.good.good = -
only.bad.bad = -

# Well-formed, but what is said does not go together. The weight 0 above keeps it from being written; the checker
# accepts it, because it judges form and not sense.
sentence.odd
    {clause.$v} and {clause.$w} {end}
    {verdict.$v} , and {detail.$w} {end}
    {clause.$v} , but {clause.$w} {end}
    although {clause.$v} , {clause.$w} {end}
    {verdict.$v} because {reason.$w} {end}
    because {reason.$v} , {verdict.$w} {end}
    {detail.$v} , so {verdict.$w} {end}
    not only {be.$p} {it} {adj.self.$v} , but {clause.$w} too {end}
    the {best.worst} part is that {clause.$v} {end}
    it is a {top.$v} PRODUCT for a {adj.value.$w} price {end} {if.sg}
    what a {top.$v} PRODUCT {end} {if.sg}
    what a {adj.any.$v} {place.word} {end} {if.sg}
    with {its} {adj.$k.$v} {noun.$k.$n} , {it} {be.$p} a {top.$w} choice {end}
    {its} {adj.$k.$v} {noun.$k.$n} {did.much} {end}
    it is easy to {love.$v} such {adj.$k.$w} {noun.$k.pl} {end}
best.worst = best | worst
did.much = ruined everything | won me over

sentence.mixed
    [2] {clause.good} , but {clause.bad} .
    [2] {clause.bad} , but {clause.good} .
    the {noun.$n} {be.$n} {adj.any.good} , but not {top.good} .
    I {admire.good} the {noun.sg} , but not the {noun.pl} .
    I {admire.good} the {noun.pl} , but not the {noun.sg} .
    although {clause.bad} , {clause.good} .
    although {clause.good} , {clause.bad} .
    {it} {be.$p} neither good nor bad .
    some {people} {love.good} {product.obj} , and some {love.bad} {them} .
    the {noun.$n} {be.$n} {adj.any.good} enough , but the rest {be.sg} {adj.any.bad} .
    {it} could be better , but {it} could also be worse .
    I have mixed feelings about {product.obj} .
    not everything about {product.obj} {be.sg} {adj.any.good} .
people = people | visitors | families

sentence.plain
    [4] the {noun.$k.$n} {be.$n} {quite?} {plain.$k} .
    [2] the {noun.$k.$n} {be.$n} {plain.any} .
    I also looked at the {noun.$n} .
    {my} {relative} asked me about {product.obj} .
    {my} {relative} has the same PRODUCT .
    {it} came in a {plain.look} box {when} . {if.parcel}
    {it} arrived {when} in a {boxsize} box . {if.parcel}
    I {verb.base} {them} {often} . {if.thing}
    I {verb.base} {them} {place} . {if.thing}
    we {verb.base} {them} {place} {often} . {if.thing}
    {someone} {verb.past} {them} {when} .
    {it} came with {small.number} {extra} . {if.parcel}
    {it} cost about {price} dollars .
    the {noun.$n} {be.$n} not the same as in the picture .
    {it} {have.$p} a {plain.$k} {noun.$k.sg} .
    we sat near the window . {if.food}
    I had the {noun.taste.sg} and {my} {relative} had the {noun.taste.sg} . {if.food}
    we arrived {arrival} . {if.visit}
    we paid about {price} dollars . {if.visit}
    {it} {be.$p} {distance} from the {landmark} . {if.visit}
    {it} was full of {people} that {daytime} . {if.visit}
    we had a room on the {ordinal} floor . {if.stay}
    {it} was {my} {ordinal} visit to the PRODUCT . {if.visit}
    {it} is about a {character} and a {character} . {if.plot}
    {it} lasts about {small.number} hours . {if.show}
    {it} has {small.number} parts . {if.story}
    you can {verb.base} {them} {place} . {if.thing}
    I keep {them} {place} . {if.home}
    [0] I keep {them} {place} . {if.thing}
    I wear {them} with {my} {plain.look} {garment} . {if.wear}
    I carry {them} to {worksite} . {if.travel}
    we shared {them} with {my} {relatives} . {if.eat}
    {my} {relatives} play with {them} {often} . {if.toy}
    I {verb.base} {them} when I have time . {if.thing}
quite = quite | rather | mostly
boxsize = small | large | plain | heavy | wooden
extra = cables | books | parts | bags | keys | screws
price = ten | twenty | thirty | forty | fifty | sixty | ninety
arrival = early | late | on time | at noon | at night | by train | by car | on foot
distance = far | not far | {small.number} minutes | a short walk | {small.number} miles
landmark = station | beach | centre | river | airport | market | church
ordinal = first | second | third
character = farmer | doctor | soldier | teacher | girl | boy | king | queen | dog | cat | family | thief
character = singer | sailor
garment = suit | cap | vest | uniform
"""
