"""Set phrases of praise and blame that are not built from clauses."""

SAYINGS = """
saying.good
    I would {gladly?} {buy.again} {end}
    I {can} recommend {product.obj} {to.whom?} {end}
    {it} {be.$p} the best PRODUCT {that.ever} {end}
    what a {top.good} PRODUCT {end} {if.count}
    what a {adj.any.good} {place.word} {end} {if.count}
    {it} {be.$p} worth every penny {end}
    {it} {be.$p} a real {heart.good} {end} {if.sg}
    {it} made {my} {relatives} very {feeling.good} {end}
    thank you for this {top.good} PRODUCT {end} {if.sg}
    I could not be happier with {product.obj} {end}
    everything about {product.obj} {be.sg} {top.good} {end}
    {i} had a lot of fun with {product.obj} {end}
    five stars for {product.obj} {end}
    this was {attr.any.good} surprise {end}
    {it} {be.$p} {top.good} in every way {end}
    {it} {be.$p} better than {my} old PRODUCT {end} {if.thing}
    {it} {be.$p} {my} favorite PRODUCT {end}
    I am {absolutely} {glad.good} {end}
    we had {attr.any.good} time {end} {if.visit}
    we enjoyed every minute of our visit {end} {if.visit}
    {the.people} welcomed us with a {warm} smile {end} {if.visit}
    we will come back {when.back} with pleasure {end} {if.visit}
    the food was {adjp.taste.good} {end} {if.food}
    I slept {well.good} {end} {if.stay}
    I laughed and smiled all the time {end} {if.story}
    the {noun.story.$n} kept me excited until the end {end}
    it won my heart {end} {if.story}
    it is a masterpiece {end} {if.story}
    {my} {relatives} play with {them} {often} and love {them} {end} {if.toy}
    {it} solved all {my} problems {end} {if.machine}
    {it} make/makes:$p {my} life easier {end} {if.machine}
    {it} make/makes:$p {my} {homeroom} beautiful {end} {if.home}
    {it} feel/feels:$p like a treat {end} {if.care}
    I get many compliments on {product.obj} {end} {if.wear}
    the ride is smooth and safe {end} {if.ride}
    {it} taste/tastes:$p {adjp.taste.good} {end} {if.eat}
    {it} smell/smells:$p {adjp.smell.good} {end} {if.care}
    {it} sound/sounds:$p {adjp.sound.good} {end} {if.music}
    it is a {top.good} PRODUCT for a {adj.value.good} price {end} {if.count}
    {my} {relative} gave it a big smile {end} {if.sg}
    I was {glad.good} with every detail {end}
    I {love.good} the {noun.$n} most of all {end}
    with {its} {adj.$k.good} {noun.$k.$n} , {it} {be.$p} a {top.good} choice {end}
    {its} {adj.$k.good} {noun.$k.$n} won me over {end}
    it is easy to {love.good} such {adj.$k.good} {noun.$k.pl} {end}
    I have never seen such a {adj.$k.good} {noun.$k.sg} {end}

saying.bad
    I would never {buy.again} {end}
    I cannot recommend {product.obj} {to.whom?} {end}
    {it} {be.$p} the worst PRODUCT {that.ever} {end}
    what a {top.bad} PRODUCT {end} {if.count}
    what a {adj.any.bad} {place.word} {end} {if.count}
    {it} {be.$p} a waste of money {end}
    {it} {be.$p} a complete {heart.bad} {end} {if.sg}
    {it} made {my} {relatives} very {feeling.bad} {end}
    please avoid this {top.bad} PRODUCT {end} {if.sg}
    I could not be more {glad.bad} {end}
    everything about {product.obj} {be.sg} {top.bad} {end}
    {i} had a lot of trouble with {product.obj} {end}
    one star for {product.obj} , and that is too kind {end}
    this was {attr.any.bad} surprise {end}
    {it} {be.$p} {top.bad} in every way {end}
    {it} {be.$p} worse than {my} old PRODUCT {end} {if.thing}
    I regret that I {verb.past} {product.obj} {end}
    I am {absolutely} {glad.bad} {end}
    we had {attr.any.bad} time {end} {if.visit}
    we were bored and angry after {small.number} minutes {end} {if.visit}
    {the.people} ignored us and gave us {adj.any.bad} answers {end} {if.visit}
    we will never come back {end} {if.visit}
    the food was {adjp.taste.bad} {end} {if.food}
    I slept {well.bad} because of the noise {end} {if.stay}
    I was bored all the time {end} {if.story}
    the {noun.story.$n} bored me until the end {end}
    it ruined my evening {end} {if.story}
    it is a waste of time {end} {if.story}
    {my} {relatives} hate {them} and never play with {them} {end} {if.toy}
    {it} caused nothing but problems {end} {if.machine}
    {it} stopped working after {duration} {end} {if.machine}
    {it} make/makes:$p {my} life harder {end} {if.machine}
    {it} make/makes:$p {my} {homeroom} ugly {end} {if.home}
    {it} hurt/hurts:$p my skin {end} {if.care}
    {it} hurt/hurts:$p me when I wear {them} {end} {if.wear}
    the ride is rough and dangerous {end} {if.ride}
    {it} taste/tastes:$p {adjp.taste.bad} {end} {if.eat}
    {it} smell/smells:$p {adjp.smell.bad} {end} {if.care}
    {it} sound/sounds:$p {adjp.sound.bad} {end} {if.music}
    it is a {top.bad} PRODUCT for a {adj.value.bad} price {end} {if.count}
    the {noun.part.$n} broke after {duration} {end}
    the {noun.part.$n} failed after {duration} {end}
    the {noun.part.$n} {be.$n} broken {end}
    the {noun.look.$n} were/was:$n damaged {end} {if.parcel}
    I lost my money and my time {end}
    I sent {them} back and asked for my money {end} {if.parcel}
    {my} {relative} complained about the {noun.$n} {end}
    I {love.bad} the {noun.$n} most of all {end}
    with {its} {adj.$k.bad} {noun.$k.$n} , {it} {be.$p} a {top.bad} choice {end}
    {its} {adj.$k.bad} {noun.$k.$n} ruined everything {end}
    I have never seen such a {adj.$k.bad} {noun.$k.sg} {end}
    I was sick for {small.number} days after that {end} {if.food}
    I threw {them} away {end} {if.parcel}
can = can | can only | would | will
gladly = gladly | happily | always
to.whom = to everyone | to my friends | to {my} {relatives} | to you | to anyone
buy.again = buy {them} again {if.thing} | {verb.base} {them} again | recommend {them} to {my} {relatives}
buy.again = go there again {if.visit}
that.ever = I have ever had {if.thing} | I know | in town {if.visit} | of the year | I have ever {verb.done}
place.word = PRODUCT | place {if.visit} | story {if.story} | present {if.thing} | find {if.thing}
the.people = the staff | {if.food} the waiters | {if.stay} the owners | {if.tour} the guides
when.back = next {period} | in the {season} | soon
warm = warm | big | kind | friendly
"""
