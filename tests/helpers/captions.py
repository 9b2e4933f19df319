"""Captions written by hand to cover the constructions of English captions, and their graphs.

A graph is written as the parser prints it: objects with their attributes in brackets, then
relations, all on one line. Two objects of one name are told apart by a number. The graphs of
CAPTIONS are what the rules gave, read through and accepted one by one; those of MISREAD were
written down from the captions, and spaCy's tree leads the rules elsewhere.
"""

CAPTIONS = [
    ("a dog", "dog"),
    ("three brown horses", "horse (3, brown)"),
    ("two young women and four children", "woman (2, young); child (4)"),
    (
        "a baseball player swings a baseball bat",
        "baseball player; baseball bat; baseball player -- swing -> baseball bat",
    ),
    ("a street sign on a pole", "street sign; pole; street sign -- on -> pole"),
    (
        "knives and forks on a wooden table",
        "knife; fork; table (wooden); knife -- on -> table; fork -- on -> table",
    ),
    ("a group of people in a park", "people (group of); park; people -- in -> park"),
    ("a pair of shoes on the floor", "shoe (2); floor; shoe -- on -> floor"),
    ("several geese near the lake", "goose; lake; goose -- near -> lake"),
    ("a large white dog", "dog (large, white)"),
    ("a red and white flag", "flag (red, white)"),
    ("the horse is brown", "horse (brown)"),
    ("the sky is blue and cloudy", "sky (blue, cloudy)"),
    ("a smiling woman", "woman (smiling)"),
    ("a parked car", "car (parked)"),
    ("a broken wooden chair", "chair (broken, wooden)"),
    ("a brick wall behind a metal fence", "wall (brick); fence (metal); wall -- behind -> fence"),
    ("a man in a dark blue shirt", "man; shirt (dark blue); man -- in -> shirt"),
    ("the girl is smiling", "girl (smiling)"),
    ("a partly cloudy sky over the city", "sky (partly cloudy); city; sky -- over -> city"),
    ("the leaves are green", "leaf (green)"),
    ("a man rides a horse", "man; horse; man -- ride -> horse"),
    ("a cat sits on top of a car", "cat; car; cat -- sit on top of -> car"),
    ("a boy looks at a bird", "boy; bird; boy -- look at -> bird"),
    ("a woman picks up a bag", "woman; bag; woman -- pick up -> bag"),
    ("a dog runs through the grass", "dog; grass; dog -- run through -> grass"),
    (
        "a bus is parked in front of the building",
        "bus; building; bus -- park in front of -> building",
    ),
    ("a lamp next to the bed", "lamp; bed; lamp -- next to -> bed"),
    (
        "a boy stands on the left side of the road",
        "boy; road; boy -- stand on the left side of -> road",
    ),
    ("smoke coming out of the chimney", "smoke; chimney; smoke -- come out of -> chimney"),
    ("a bird on the back of an elephant", "bird; elephant; bird -- on back of -> elephant"),
    ("a man in the middle of the street", "man; street; man -- in middle of -> street"),
    (
        "a child holding the hand of an adult",
        "child; hand; adult; child -- hold -> hand; adult -- have -> hand",
    ),
    ("a horse is ridden by a woman", "horse; woman; woman -- ride -> horse"),
    ("a ball thrown by a boy", "ball; boy; boy -- throw -> ball"),
    ("a hill covered in snow", "hill; snow; snow -- cover -> hill"),
    ("a house surrounded by trees", "house; tree; tree -- surround -> house"),
    ("a kite is being flown by two girls", "kite; girl (2); girl -- fly -> kite"),
    ("the man has a beard", "man; beard; man -- have -> beard"),
    ("a woman with long hair", "woman; hair (long); woman -- with -> hair"),
    ("the dog's tail", "dog; tail; dog -- have -> tail"),
    ("the leg of the table", "leg; table; table -- have -> leg"),
    ("a girl and her dog", "girl; dog; girl -- have -> dog"),
    ("the door of the red house", "door; house (red); house -- have -> door"),
    ("the men and their bikes", "man; bike; man -- have -> bike"),
    (
        "a man and a woman walk on the beach",
        "man; woman; beach; man -- walk on -> beach; woman -- walk on -> beach",
    ),
    (
        "a girl holds a doll and a book",
        "girl; doll; book; girl -- hold -> doll; girl -- hold -> book",
    ),
    (
        "a man sits on a bench and reads a newspaper",
        "man; bench; newspaper; man -- read -> newspaper; man -- sit on -> bench",
    ),
    ("dogs and cats on a sofa", "dog; cat; sofa; dog -- on -> sofa; cat -- on -> sofa"),
    ("a man who is wearing a hat", "man; hat; man -- wear -> hat"),
    ("a woman that holds an umbrella", "woman; umbrella; woman -- hold -> umbrella"),
    ("the book that the boy is reading", "book; boy; boy -- read -> book"),
    ("a woman trying to catch a ball", "woman; ball; woman -- try to catch -> ball"),
    ("the chair the cat is sitting on", "chair; cat; cat -- sit on -> chair"),
    ("there is a cat on the table", "cat; table; cat -- on -> table"),
    ("there are two boats in the water", "boat (2); water; boat -- in -> water"),
    ("the ball is under the chair", "ball; chair; ball -- under -> chair"),
    ("the cup is full of coffee", "cup; coffee; cup -- have -> coffee"),
    ("the bench is close to the river", "bench; river; bench -- close to -> river"),
    ("a man sits next to another man", "man:0; man:1; man:0 -- sit next to -> man:1"),
    ("a dog chases a dog", "dog:0; dog:1; dog:0 -- chase -> dog:1"),
    (
        "a boy throws a ball to his friend",
        "boy; ball; friend; boy -- have -> friend; boy -- throw -> ball; boy -- throw to -> friend",
    ),
    ("a bowl with a spoon in it", "bowl; spoon; bowl -- with -> spoon; spoon -- in -> bowl"),
    ("a cup of tea", "cup; tea; tea -- in -> cup"),
    (
        "a young man in a red shirt rides a brown horse on the beach",
        "man (young); shirt (red); horse (brown); beach; "
        "man -- in -> shirt; man -- ride -> horse; horse -- on -> beach",
    ),
    ("A Woman's hat, on the CHAIR.", "woman; hat; chair; woman -- have -> hat; hat -- on -> chair"),
    ("a plane flying over the mountains", "plane; mountain; plane -- fly over -> mountain"),
    (
        "a bear and its cub cross the river",
        "bear; cub; river; bear -- cross -> river; bear -- have -> cub; cub -- cross -> river",
    ),
    ("cars parked along the street", "car; street; car -- park along -> street"),
]

MISREAD = [
    (
        "a plate on a table in a kitchen",
        "plate; table; kitchen; plate -- on -> table; table -- in -> kitchen",
    ),
    (
        "a boy wearing a helmet riding a bike",
        "boy; helmet; bike; boy -- ride -> bike; boy -- wear -> helmet",
    ),
    (
        "a man in a suit talks to a woman in a dress",
        "man; suit; woman; dress; man -- in -> suit; man -- talk to -> woman; woman -- in -> dress",
    ),
    (
        "a tall building with a clock on top of it",
        "building (tall); clock; building -- with -> clock; clock -- on top of -> building",
    ),
]
