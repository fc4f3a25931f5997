"""Styles that products have and users like, and the words that show them."""

from typing import NamedTuple


class Style(NamedTuple):
    """A way for a product to be, in any category.

    Attributes:
        name: for the planted truth.
        adjectives: five words that titles and searches use.
        colours: four colours that its products come in.
        sentences: four sentences for descriptions.
    """

    name: str
    adjectives: tuple[str, ...]
    colours: tuple[str, ...]
    sentences: tuple[str, ...]


STYLES = (
    Style(
        "minimal",
        ("minimalist", "understated", "sleek", "simple", "pared-back"),
        ("white", "light grey", "black", "ash"),
        (
            "Clean lines and nothing that distracts.",
            "Reduced to what is needed, it fits in anywhere.",
            "A quiet design without logos or ornament.",
            "Less of everything, done with care.",
        ),
    ),
    Style(
        "natural",
        ("organic", "natural", "plant-based", "recycled", "plastic-free"),
        ("moss green", "sand", "oat", "bark brown"),
        (
            "Made from renewable raw materials in a solar powered workshop.",
            "Comes in compostable packaging, without any plastic.",
            "For people who look at where things come from.",
            "Certified fair trade and free from harmful substances.",
        ),
    ),
    Style(
        "luxury",
        ("premium", "exclusive", "handcrafted", "signature", "deluxe"),
        ("gold", "champagne", "emerald", "burgundy"),
        (
            "Finished by hand by a small team of masters.",
            "An elegant gift in a lined presentation box.",
            "Nothing but the finest, down to the last detail.",
            "For those who allow themselves something special.",
        ),
    ),
    Style(
        "rugged",
        ("rugged", "heavy-duty", "all-weather", "expedition", "tough"),
        ("olive", "safety orange", "gunmetal", "khaki"),
        (
            "Built to survive years of hard use.",
            "Tested in wind, rain and mud.",
            "Reinforced where others give up first.",
            "Take it where there is no road.",
        ),
    ),
    Style(
        "smart",
        ("smart", "high-tech", "precision", "next-generation", "engineered"),
        ("electric blue", "graphite", "silver", "neon green"),
        (
            "Developed by engineers who measure everything twice.",
            "The newest technology, thought through to the end.",
            "Designed in the laboratory for measurable results.",
            "A clever mechanism does the work for you.",
        ),
    ),
    Style(
        "vintage",
        ("vintage", "retro", "heritage", "old-fashioned", "nostalgic"),
        ("mustard", "teal", "cream", "rust red"),
        (
            "Looks like something from grandmother's house, in the best way.",
            "A pattern from our archive of the nineteen fifties.",
            "The charm of another time, made to the standards of today.",
            "Our family has made it the same way for four generations.",
        ),
    ),
    Style(
        "playful",
        ("playful", "cheerful", "quirky", "funny", "vibrant"),
        ("hot pink", "sunny yellow", "turquoise", "rainbow"),
        (
            "Makes you smile every time you use it.",
            "A burst of fun for grey days.",
            "Bold patterns for people who never quite grew up.",
            "Guaranteed to start a conversation.",
        ),
    ),
    Style(
        "cosy",
        ("cosy", "soft", "comfy", "snug", "gentle"),
        ("blush", "lavender blue", "caramel", "ivory"),
        (
            "Made for long evenings at home.",
            "As comforting as a hug.",
            "Gentle to the touch and easy to live with.",
            "Sink in and forget the day.",
        ),
    ),
)

SIZES = ("small", "medium", "large", "extra large")

MODELS = (
    "Alto",
    "Brisa",
    "Cove",
    "Delta",
    "Ember",
    "Fjord",
    "Grove",
    "Haven",
    "Iris",
    "Juno",
    "Koda",
    "Luma",
    "Mesa",
    "Nova",
    "Orbit",
    "Pine",
    "Quill",
    "River",
    "Sage",
    "Terra",
    "Umber",
    "Vale",
    "Willow",
    "Xenia",
    "Yonder",
    "Zephyr",
    "Aspen",
    "Birch",
    "Cinder",
    "Dune",
    "Echo",
    "Flint",
    "Halo",
    "Indigo",
    "Jasper",
    "Kestrel",
    "Linden",
    "Maple",
    "Nimbus",
    "Onyx",
    "Pebble",
    "Quartz",
    "Rowan",
    "Summit",
    "Thistle",
    "Vesper",
    "Wren",
    "Amber",
)

BRAND_STARTS = (
    "Nor",
    "Vel",
    "Kas",
    "Bram",
    "Tor",
    "Lin",
    "Hal",
    "Mar",
    "Fen",
    "Sol",
    "Ald",
    "Ber",
    "Cor",
    "Dal",
    "Eld",
    "Fal",
    "Gar",
    "Hol",
    "Ing",
    "Jor",
    "Kel",
    "Lor",
    "Mon",
    "Nev",
    "Ost",
    "Par",
    "Quin",
    "Ros",
    "Sil",
    "Tam",
    "Ulv",
    "Var",
    "Wes",
    "Yar",
    "Zel",
    "Bel",
    "Cal",
    "Dor",
    "Esk",
    "Fro",
)

BRAND_ENDS = (
    "vik",
    "son",
    "ley",
    "mont",
    "berg",
    "dale",
    "ora",
    "ino",
    "ette",
    "well",
    "wood",
    "field",
    "stad",
    "mark",
    "lund",
    "haus",
    "ania",
    "itto",
    "ford",
    "more",
    "nes",
    "by",
    "rup",
    "holm",
    "gate",
    "wick",
    "ella",
    "esse",
    "ado",
    "une",
)

OPENINGS = (
    "{brand} {model}: {noun}, {feature}.",
    "New from {brand}: the {model} series, {noun}, {feature}.",
    "For everybody who looks for {feature} when choosing a {noun}.",
    "Our {model}, the {noun} for every day. Type: {feature}.",
)
USES = (
    "Customers praise the {aspect} above all.",
    "We have improved the {aspect} since the last version.",
    "Special care went into the {aspect}.",
    "Look out for the {aspect} and the {other}.",
)
