"""What customers and assistants say at the help desk.

``open.DOMAIN`` opens a dialogue without telling anything, ``open.DOMAIN.SLOT`` tells one slot at once;
``ask.DOMAIN.SLOT`` is the assistant's question for a slot, ``tell.DOMAIN.SLOT`` the customer's answer, and
``done.DOMAIN`` the assistant's last word on the matter. A slot such as ``{day}`` holds a value of the goal.
"""

SLOT_VALUES = """
people = two | three | four | five | six | seven | eight
day = Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
time = five | six | seven | eight | nine | noon
customer = Anna | Maria | Emma | Julia | Sara | Nina | Clara | Ruth | Tom | Peter | David | Oscar | Paul
customer = Leo | Mark | Hugo
item = lamp | kettle | toaster | blender | phone | laptop | camera | printer | radio | chair | jacket
item = coat | sweater
item = shirt | dress | novel | puzzle | drill | backpack | suitcase | tent | clock | mirror | bicycle
item = guitar | doll
reason = it is too small | it is too big | it is broken | the colour is wrong | it is damaged
reason = it came too late
reason = I do not need it | I ordered two | it is too heavy | a part is lost
refund = my money back | a new one | a voucher
machine = lamp | kettle | toaster | blender | oven | phone | laptop | camera | printer | radio
machine = television | drill
machine = freezer | mower | speaker | microwave | dishwasher | projector
fault = it does not start | it makes a loud noise | the cable is broken | it is too hot | it smells bad
fault = it leaks
fault = the button is stuck | it stops all the time | the light is red | the cover is loose
since = yesterday | this morning | last week | last weekend | Monday | Friday
shop = shop | library | museum | bank | bakery | gym | zoo | cafe | pharmacy | market | theatre | office
opens = six | seven | eight | nine | ten
closes = noon | four | five | six | seven | eight | nine
"""

SPEECH = """
hello = hello | hi | good morning | good evening | good afternoon
hello.user = [3] {hello} . | {hello} , can you help me ? | -
please = , please
sure = sure . | of course . | certainly . | no problem . | very well . | all right . | yes . | gladly .
thanks = thank you . | thanks . | I see . | all right .
sorry = I am sorry to hear that . | I am very sorry . | I am sorry about that . | that is a pity .

user.thanks
    thank you very much {end}
    thanks a lot {end}
    {great} , thank you {end}
    thank you for your help {end}
    that is all , thanks {end}
    {great} . goodbye {end}
great = great | perfect | wonderful | good | that is very kind
assistant.bye
    you are welcome {end}
    you are welcome , goodbye {end}
    have a nice day {end}
    my pleasure . have a good day {end}
    goodbye , and thank you {end}
    we are happy to help {end}
end = [4] . | !

# Book a table
open.book
    {hello.user} I would like to book a table .
    {hello.user} I want to book a table {please} .
    {hello.user} can I book a table {please?} ?
    {hello.user} we need a table at your restaurant .
    {hello.user} do you have a free table ?
open.book.people
    {hello.user} I would like to book a table for {people} .
    {hello.user} do you have a table for {people} people ?
    {hello.user} we are {people} and need a table .
open.book.day
    {hello.user} I would like to book a table for {day} .
    {hello.user} do you have a free table on {day} ?
    {hello.user} can we eat at your restaurant on {day} ?
ask.book.people
    {sure?} for how many people ?
    {sure?} how many people will come ?
    {sure?} how many are you ?
ask.book.day
    {sure?} for which day ?
    {thanks?} on which day would you like to come ?
    {thanks?} which day do you want ?
ask.book.time
    {sure?} at what time ?
    {thanks?} what time would you like to come ?
    {thanks?} when will you be here ?
ask.book.customer
    {thanks?} what is your name ?
    {sure?} may I have your name ?
    {thanks?} under which name ?
tell.book.people
    for {people} {please} .
    for {people} people .
    we are {people} .
    {people} people {please?} .
tell.book.day
    on {day} {please?} .
    {day} would be good .
    for {day} .
    we want to come on {day} .
tell.book.time
    at {time} {please?} .
    at {time} would be good .
    we will be there at {time} .
    {time} {please} .
tell.book.customer
    my name is {customer} .
    {customer} {please?} .
    it is {customer} .
    I am {customer} .
done.book
    thank you , {customer} . your table for {people} is booked for {day} at {time} {end}
    {great} . I have booked a table for {people} on {day} at {time} for {customer} {end}
    your table is ready on {day} at {time} for {people} people , {customer} {end}
    all right , {customer} . we will see you on {day} at {time} with a table for {people} {end}

# Return a item
open.return
    {hello.user} I would like to return something .
    {hello.user} I want to return a item that I bought .
    {hello.user} can I return a item {please?} ?
    {hello.user} I want to send something back .
open.return.item
    {hello.user} I would like to return a {item} .
    {hello.user} I want to return the {item} that I bought {bought.when} .
    {hello.user} can I send this {item} back ?
    {hello.user} I am not happy with my new {item} .
    {hello.user} I bought a {item} here , but I want to return it .
bought.when = last week | yesterday | last month | on Monday | on Saturday
ask.return.item
    {sure?} what would you like to return ?
    {sure?} which item is it ?
    {sure?} what did you buy ?
ask.return.reason
    {sorry?} what is wrong with it ?
    {thanks?} why do you want to return it ?
    {sorry?} may I ask for the reason ?
ask.return.refund
    {sorry?} what would you like to have instead ?
    {sure?} would you like your money back or a new one ?
    {sure?} do you want your money , a new one or a voucher ?
tell.return.item
    a {item} .
    it is a {item} that I bought {bought.when} .
    I bought a {item} {bought.when} .
    the {item} .
tell.return.reason
    {reason} .
    because {reason} .
    I think {reason} .
    sadly , {reason} .
tell.return.refund
    {refund} {please} .
    I would like {refund} .
    I want {refund} {please?} .
    {refund} would be good .
done.return
    {sure} please send the {item} back , and you will get {refund.you} {end}
    {sure} bring the {item} to our shop and we will give you {refund.you} {end}
    {great} . you will get {refund.you} for the {item} in {delay} {end}
    I have noted the return of the {item} . you will get {refund.you} soon {end}
refund.you = your money back | a new one | a voucher
delay = two days | three days | five days | a week

# Report a fault
open.fault
    {hello.user} I have a problem .
    {hello.user} I need help with a machine .
    {hello.user} something is broken at my house .
    {hello.user} I want to report a fault .
open.fault.machine
    {hello.user} there is a problem with my {machine} .
    {hello.user} my {machine} is broken .
    {hello.user} my {machine} does not work .
    {hello.user} I need help with my {machine} .
    {hello.user} I want to report a fault of my {machine} .
ask.fault.machine
    {sorry?} which machine is it ?
    {sorry?} what is broken ?
    {sorry?} what do you need help with ?
ask.fault.fault
    {sorry?} what is wrong with it ?
    {sorry?} what is the problem ?
    {sorry?} can you tell me what happens ?
ask.fault.since
    {thanks?} since when ?
    {sorry?} when did it start ?
    {thanks?} how long have you had this problem ?
tell.fault.machine
    my {machine} .
    it is my {machine} .
    the {machine} that I bought here .
    I mean my new {machine} .
tell.fault.fault
    {fault} .
    I think {fault} .
    {fault} when I use it .
    every day {fault} .
tell.fault.since
    since {since} .
    it started {since.when} .
    I saw it {since.when} .
since.when = yesterday | this morning | last week | last weekend | on Monday | on Friday
done.fault
    {thanks} please switch the {machine} off . we will send someone {visit.when} {end}
    {thanks} I have noted the fault . someone will look at the {machine} {visit.when} {end}
    {sorry} please bring the {machine} to our shop {visit.when} {end}
    {thanks} we will repair your {machine} {visit.when} {end}
visit.when = tomorrow | today | on {day} | this week | next week

# Opening hours
open.hours
    {hello.user} I have a question about your opening hours .
    {hello.user} can you tell me when you are open ?
    {hello.user} when are you open ?
open.hours.shop
    {hello.user} when is the {shop} open ?
    {hello.user} when does the {shop} open ?
    {hello.user} I would like to visit the {shop} .
    {hello.user} can you tell me the opening hours of the {shop} ?
ask.hours.shop
    {sure?} which place do you mean ?
    {sure?} where would you like to go ?
    {sure?} for which place ?
ask.hours.day
    {sure?} on which day ?
    {sure?} which day do you mean ?
    {sure?} when would you like to come ?
tell.hours.shop
    the {shop} {please?} .
    I mean the {shop} .
    I would like to go to the {shop} .
tell.hours.day
    on {day} {please?} .
    {day} {please} .
    I want to come on {day} .
    I have time on {day} .
done.hours
    on {day} the {shop} is open from {opens} to {closes} {end}
    the {shop} opens at {opens} and closes at {closes} on {day} {end}
    {sure} on {day} you can visit the {shop} from {opens} until {closes} {end}
    it is open from {opens} to {closes} on {day} {end}

user.any
    {open.$d}
    {open.$d.$s}
    {tell.$d.$s}
    {user.thanks}
assistant.any
    {ask.$d.$s}
    {done.$d}
    {assistant.bye}
"""
