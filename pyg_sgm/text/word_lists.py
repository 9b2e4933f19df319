"""Closed lists of English words."""


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


def pairs(text: str) -> dict[str, str]:
    """A mapping written ``key:value key:value``."""
    return dict(pair.split(":") for pair in text.split())


# Lemmas

IRREGULAR_NOUNS = pairs(
    "men:man women:woman children:child feet:foot teeth:tooth geese:goose mice:mouse oxen:ox "
    "loaves:loaf leaves:leaf knives:knife shelves:shelf wolves:wolf scarves:scarf hooves:hoof "
    "calves:calf halves:half elves:elf wives:wife lives:life thieves:thief kids:kid skis:ski "
    "buses:bus busses:bus gases:gas canvases:canvas lenses:lens menus:menu cookies:cookie "
    "movies:movie ties:tie pies:pie zombies:zombie selfies:selfie hoodies:hoodie "
    "smoothies:smoothie brownies:brownie veggies:veggie doggies:doggie shoes:shoe canoes:canoe "
    "toes:toe horseshoes:horseshoe axes:axe cacti:cactus potatoes:potato tomatoes:tomato "
    "heroes:hero mangoes:mango yoyos:yoyo aches:ache caches:cache moustaches:moustache "
    "mustaches:mustache headaches:headache"
)
# Ending in "s", and their own lemma: singular already, or known in the plural alone.
SINGULAR_IN_S = words(
    "pants jeans shorts clothes scissors goggles pajamas pyjamas leggings tights slacks trousers "
    "overalls binoculars tennis gas lens canvas atlas christmas citrus series species "
    "headquarters outdoors sunglasses eyeglasses electronics debris chess glass news "
    "his its this hers us as is was has yes plus always"
)
IRREGULAR_VERBS = pairs(
    "sat:sit sits:sit seated:sit sitting:sit stood:stand laying:lie laid:lie lying:lie lays:lie "
    "lay:lie lain:lie held:hold worn:wear wore:wear hung:hang ridden:ride rode:ride ran:run "
    "caught:catch thrown:throw threw:throw flown:fly flew:fly eaten:eat ate:eat drunk:drink "
    "drank:drink driven:drive drove:drive made:make built:build grown:grow grew:grow "
    "fallen:fall fell:fall swung:swing lit:light left:leave led:lead bent:bend bound:bind "
    "kept:keep slept:sleep swept:sweep shown:show drawn:draw drew:draw written:write "
    "wrote:write taken:take took:take given:give gave:give came:come went:go gone:go goes:go "
    "got:get seen:see saw:see sold:sell stuck:stick torn:tear woven:weave fed:feed "
    "frozen:freeze broken:break broke:break chosen:choose spoken:speak swum:swim swam:swim "
    "sung:sing has:have had:have having:have is:be are:be was:be were:be being:be been:be "
    "tied:tie tying:tie dying:die shone:shine spun:spin dug:dig fought:fight bought:buy "
    "brought:bring taught:teach found:find wound:wind hidden:hide shaken:shake met:meet "
    "read:read spread:spread set:set put:put cut:cut hit:hit does:do did:do done:do bitten:bite "
    "beaten:beat blown:blow blew:blow began:begin begun:begin bled:bleed burnt:burn clung:cling "
    "crept:creep dealt:deal felt:feel fled:flee flung:fling forgot:forget forgotten:forget "
    "heard:hear knelt:kneel knew:know known:know leant:lean leapt:leap lent:lend lost:lose "
    "mown:mow overtaken:overtake overtook:overtake paid:pay rang:ring risen:rise "
    "said:say sang:sing sank:sink sunk:sink sent:send sewn:sew shot:shoot shrank:shrink "
    "shrunk:shrink slid:slide slung:sling spat:spit spent:spend sprang:spring "
    "sprung:spring stole:steal stolen:steal strode:stride struck:strike strung:string stung:sting "
    "sworn:swear thought:think told:tell woke:wake woken:wake won:win dyed:dye eyed:eye "
    "silhouetted:silhouette"
)

AUXILIARIES = words(
    "is are was were be been being am has have had do does did can could will would may might must"
)
# Whom "he" and "she" may be, and who may be either.
MALE = words(
    "man boy guy father dad brother son husband king prince groom waiter policeman fireman cowboy "
    "gentleman grandfather uncle bull rooster fisherman businessman salesman snowman sportsman"
)
FEMALE = words(
    "woman girl lady mother mom sister daughter wife queen princess bride waitress policewoman "
    "grandmother aunt cow hen actress ballerina businesswoman nun"
)
PEOPLE = words(
    "person child kid baby toddler infant player rider driver skier surfer snowboarder "
    "skateboarder cyclist biker adult teenager student teacher worker cook chef doctor nurse "
    "dancer singer musician artist farmer officer soldier guard clown friend runner swimmer "
    "climber hiker tourist pedestrian customer shopper clerk vendor pitcher batter catcher umpire "
    "referee coach athlete boxer wrestler performer guest passenger pilot sailor photographer "
    "painter parent owner someone somebody individual youth bicyclist golfer gymnast people judge "
    "patron crowd men women children"
)
ANIMALS = words("dog cat horse puppy kitten elephant bear cow monkey sheep bird zebra giraffe lion")
# Verbs of captions whose forms are seldom nouns.
VERBS = words(
    "wear sit hold stand walk hang lie play carry cover fly ride lean fill eat surround look swing "
    "drive reflect hit grow watch run make touch come talk go catch graze pull use lead contain "
    "sleep face cross jump throw serve travel wait take write show fall sell separate sniff pet "
    "wash swim point enjoy move pose leave gather build get reach grab kick perch draw bite follow "
    "see chase lift prepare lick approach climb depict hide enter kneel pour crouch open pick "
    "smile cook stare drag sail spread perform roll smell soar feed wave hug kiss push read speak "
    "listen dance laugh give help try keep say surf bark dig work shake turn stop look"
)

# Reading a dependency tree

# Nouns that place one thing relative to another: "on top of", "in the corner of the room".
PLACES = words(
    "top front side sides back middle center centre edge edges end ends bottom corner corners left "
    "right inside outside rear tip base background foreground distance row"
)
# Nouns that measure what follows their "of".
MEASURES = words(
    "group bunch couple pair lot lots number set bit bits piece pieces bunches herd pile stack row "
    "rows crowd flock groups variety line kind kinds type types pairs cluster collection"
)
NUMBERS = pairs(
    "two:2 three:3 four:4 five:5 six:6 seven:7 eight:8 nine:9 ten:10 both:2 eleven:11 twelve:12 "
    "dozen:12"
)
# Nouns that say what the noun after them is made of or looks like.
MATERIALS = words(
    "wood wooden metal brick stone plastic glass leather paper concrete steel silver gold orange "
    "cement rock iron wire wicker cloth tile brass bronze chrome marble granite copper clay straw "
    "rubber silk cotton denim fur lace velvet satin wool nylon vinyl canvas aluminum ceramic "
    "porcelain cardboard bamboo gravel dirt mud sand snow grass tan pink blue red green yellow "
    "white black brown grey gray purple beige maroon teal navy khaki cream olive violet turquoise "
    "lavender plaid stripe polka floral baby toy adult male female christmas passenger fighter "
    "commercial jet cargo double single stained oak pine cherry mesh foil chain link pepperoni "
    "cheese chocolate vegetable fruit"
)
# Things that hold what their "of" names: the soda of "a cup of soda" is in the cup.
CONTAINERS = pairs(
    "glass:in glasses:in cup:in cups:in bottle:in bottles:in bowl:in bowls:in box:in boxes:in "
    "jar:in jars:in bag:in bags:in basket:in baskets:in bucket:in can:in pot:in vase:in mug:in "
    "crate:in plate:on plates:on tray:on trays:on platter:on"
)
# Adjectives that say nothing about the looks of a thing.
EMPTY = words("other same another many several few more some such different various own")
# Participles whose "with" or "in" names the doer: "a hill covered in snow", snow covers the hill.
TURNED = words("covered lined surrounded enclosed")
# Verbs after whose object a preposition places the object: "wears a hat on her head".
KEEPING = words("wear hold carry have put use place cut")
VAGUE = words("there this that these those it which who what one")
