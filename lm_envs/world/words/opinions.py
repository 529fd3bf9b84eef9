"""Words of praise and blame. Nearly all of them are in VADER's sentiment lexicon (Hutto and Gilbert, 2014).

``adj.KIND.VALENCE`` are adjectives that can be weighed ("very good"), by the kind of noun that they fit;
``top.VALENCE`` are adjectives that are already extreme ("absolutely perfect") and fit any noun.
"""

ADJECTIVES = """
adj.any.good = good | great | nice
adj.any.bad = bad | poor | disappointing
adj.look.good = beautiful | pretty | elegant | lovely | attractive | charming | bright | graceful
adj.look.good = gorgeous | stunning | neat
adj.look.bad = ugly | dull | boring | unpleasant | cheap | grim | dreary
adj.part.good = strong | useful | solid | safe | reliable | smart | handy
adj.part.bad = weak | useless | faulty | loose | dangerous | fragile | defective | inferior
adj.feel.good = comfortable | soft | warm | pleasant | smooth | cosy | gentle
adj.feel.bad = uncomfortable | unpleasant | itchy | rough | nasty | painful | scratchy
adj.sound.good = clear | rich | warm | pleasant | lively | sweet | energetic
adj.sound.bad = harsh | weak | annoying | unpleasant | dull
adj.taste.good = fresh | delicious | sweet | rich | delightful | heavenly | tasty
adj.taste.bad = bitter | disgusting | nasty | stale | sour | rotten | bland
adj.smell.good = lovely | fresh | pleasant | sweet | delightful
adj.smell.bad = nasty | disgusting | unpleasant | strange | sour
adj.person.good = friendly | helpful | kind | cheerful | polite | generous | honest | caring | gracious
adj.person.bad = rude | unfriendly | lazy | angry | careless | arrogant | hostile | stingy
adj.story.good = interesting | exciting | funny | clever | entertaining | fascinating | charming
adj.story.good = inspiring | creative | thrilling | romantic
adj.story.bad = boring | dull | stupid | confusing | ridiculous | silly | tedious | lame | weird | shallow
adj.story.bad = tragic
adj.room.good = clean | comfortable | lovely | peaceful | quiet | safe | bright | welcoming | romantic
adj.room.good = relaxing
adj.room.bad = dirty | noisy | ugly | gloomy | messy | uncomfortable | unsafe | shabby | scary
adj.value.good = fair | reasonable | generous | impressive
adj.value.bad = unfair | ridiculous | shocking | unacceptable
top.good = excellent | wonderful | amazing | fantastic | perfect | superb | brilliant | outstanding | awesome
top.good = terrific | fabulous | splendid | marvelous | magnificent | glorious | remarkable | sensational
top.bad = terrible | awful | horrible | dreadful | lousy | pathetic | miserable | worthless | horrid
top.bad = appalling | hopeless | unbearable
plain.any = big | small | new | simple | ordinary | plain | large
plain.look = brown | red | blue | green | white | black | grey | yellow | round | square | dark
plain.part = heavy | light | thin | long | short | wooden | metal | plastic
plain.feel = heavy | light | thin | thick
plain.sound = loud | quiet | deep | high | low
plain.taste = hot | cold | salty | mild
plain.smell = strong | mild | faint
plain.person = tall | old | young | quiet | busy
plain.story = long | short | slow | simple | modern
plain.room = big | small | large | warm | dark | modern | empty
plain.value = normal | average
"""

VERBS = """
love.good = love | [0.8] like | enjoy | adore
love.bad = hate | dislike | regret
loved.good = loved | [0.8] liked | enjoyed | adored
loved.bad = hated | disliked
admire.good = love | like | enjoy | adore
admire.bad = hate | dislike
well.good = well | perfectly | beautifully | nicely | brilliantly | wonderfully
well.bad = badly | terribly | poorly
glad.good = happy | pleased | satisfied | delighted | impressed
glad.bad = disappointed | unhappy | upset | annoyed | frustrated
heart.good = joy | pleasure | treasure | masterpiece | success | delight | winner | surprise
heart.bad = disaster | failure | mess | disappointment | shame | problem | nightmare
"""
