"""People, times and occasions that appear in every part of the world."""

PEOPLE = """
relative = brother | sister | mother | father | son | daughter | wife | husband | uncle | aunt | cousin
relative = friend
relative = neighbour | boss | nephew | niece | grandmother | grandfather | roommate | teacher
relatives = parents | friends | children | kids | colleagues | neighbours | cousins | sisters | brothers
my = [4] my | our
occasion = birthday | wedding | anniversary | party | graduation | holiday | trip
"""

TIMES = """
weekday = Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
month = January | February | March | April | May | June | July | August | September | October | November
month = December
season = spring | summer | autumn | winter
small.number = two | three | four | five | six
when
    last {period}
    on {weekday}
    in {month}
    {small.number} {periods} ago
    last {season}
    [0.5] yesterday
    [0.5] this morning
    last {month}
    in the {season}
period = week | month | year | weekend
periods = days | weeks | months | years
duration
    {small.number} {stretch}
    a {stretch.sg}
    over a {stretch.sg}
    almost a {stretch.sg}
stretch = days | weeks | months | years
stretch.sg = week | month | year
nights = one night | two nights | three nights | four nights | a week | a weekend
often = every day | every week | every morning | every evening | all the time | at weekends | twice a week
often = once a week
"""
