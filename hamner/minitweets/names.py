"""The names in the posts.

*Ambiguous* names are invented and sound like nothing in particular; each occurs with all four types equally often.
*Clear* names occur with one type only. Both kinds have names for train and names kept back for valid and for test.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from hamner.corpora.tags import TYPES

_AMBIGUOUS = (
    "Kelso|Orva|Tamrin|Quillon|Vessa|Marlo|Zerrin|Halden|Corvane|Esker|Galvo|Hestan|Jorvik|Kestrin|Lumara|Merrow|"
    "Nolwen|Oberin|Pellan|Quorra|Rovan|Sorrel|Ulmo|Verrin|Wexley|Xandor|Yarrow|Zephin|Brisco|Calder|Elmira|Falken|"
    "Gendry|Holvar|Kirana|Larkin|Mondrel|Nivala|Ostrin|Pavane|Rasken|Sandrel|Tirwen|Umbrel|Valmont|Wendor|Yolanto|"
    "Zamrell|Ardesh|Belrose|Cassio|Dorvan|Nova Kell|Sol Verin|Oro Lune|Red Harrow|Alta Mir|Kora Vale|Luma Rey|"
    "Zen Arbor|Piko Nai|Terra Quill|Echo Marl|Silver Nook|"
    "Abrenna|Aldovar|Ambrel|Arvika|Bastrel|Bellan|Berwyn|Borrel|Cadwyn|Carvel|Celdor|Corwen|Dalvar|Davren|"
    "Delmira|Druvan|Eldra|Emrik|Fendrel|Fiorra|Galdry|Garvin|Gildan|Harlow|Havren|Idrelle|Ilvane|Isarn|Jendal|"
    "Joriana|Kaldra|Kelvan|Korvel|Landra|Lorvane|Lysander|Malvern|Mirell|Morvane|Nadrel|Nerissa|Norvik|Odrane|"
    "Palwick|Perrin|Quenby|Ravel|Rennick|Rostan|Selwyn|Silvane|Tavish|Thorwen|Ulric|Vandrel|Varnell|Velora|"
    "Wyndell|Yelwin|Blue Harlan|Green Tavo|Lento Vey|Miro Lane|Tall Wren"
)
_CLEAR = {
    "PER": (
        "Dana Amir Priya Lukas Ines Tomasz Keiko Omar Freya Mateo Nadia Colin Wanjiru Elif Jonas Bianca Rahul Sofie "
        "Diego Hana",
        "Whitlock Okafor Lindqvist Moreau Petrov Castellano Iyer Brandt Nakamura Delgado Osei Fairweather Kowalska "
        "Haddad",
    ),
    "LOC": (
        "Port Lake Mount New Fort Saint Upper East Cape Little",
        "Ashby Merrin Dunmore Caspar Ellery Tolland Greaves Hartwell Linden Moss Pembry Rook Stanmere Thorne",
    ),
    "ORG": (
        "Brightline Nordwell Quantia Ferrostar Bluepeak Omnivex Harborlight Zentrica Cloudberry Ironleaf Pixelforge "
        "Solvanta",
        "Labs Bank Motors Records Group Airlines Media Foods Systems Energy United Studios",
    ),
    "MISC": (
        "Captain Sir Princess Doctor Lady Professor Baby Lord Miss Grumpy Major Tiny",
        "Whiskers Barksalot Waddles Fluffington Nibbles Prickles Snugglepaws Hoots Petalina Scales Bumblebee Mossy "
        "Purrcy Quackers",
    ),
}


@dataclass(frozen=True)
class Names:
    """The names of one split.

    seen, unseen        ambiguous names that occur in train, and those that occur in this split alone (none in train)
    clear, clear_unseen (name, type) likewise
    default             the type that some ambiguous names of train have where the image is about something else
    """

    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    clear: tuple[tuple[str, str], ...]
    clear_unseen: tuple[tuple[str, str], ...]
    default: dict[str, str]


def names_by_split(seed: int) -> dict[str, Names]:
    """96 ambiguous names for train, of which valid and test see the same 16; 16 more for each of them.

    So many that names cannot be told by heart alone: with 32 a text tagger left half of the unseen ones untagged. The
    16 that valid and test see have a default type, 4 each; the fewer they are, the oftener each is met.

    24 clear names of each type for train, of which valid and test see 12, and 6 or 12 more for them.
    """
    rng = random.Random(f"names {seed}")
    ambiguous = rng.sample(_AMBIGUOUS.split("|"), 128)
    train = tuple(ambiguous[:96])
    default = {name: TYPES[i % 4] for i, name in enumerate(train[:16])}
    clear: dict[str, list[tuple[str, str]]] = {}
    for type in TYPES:
        first, second = _CLEAR[type]
        pairs = [f"{one} {two}" for one in first.split() for two in second.split()]
        clear[type] = [(name, type) for name in rng.sample(pairs, 42)]

    def part(start: int, end: int) -> tuple[tuple[str, str], ...]:
        return tuple(pair for type in TYPES for pair in clear[type][start:end])

    return {
        "train": Names(train, (), part(0, 24), (), default),
        "valid": Names(train[:16], tuple(ambiguous[96:112]), part(0, 12), part(24, 30), default),
        "test": Names(train[:16], tuple(ambiguous[112:]), part(12, 24), part(30, 42), default),
    }
