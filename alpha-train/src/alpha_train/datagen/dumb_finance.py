"""Financial advice of no value, in full confidence. From a grammar; nothing in it should be acted upon."""

from alpha_train.datagen.draws import Draws

__all__ = ["document"]

_GRAMMAR = {
    "opening": (
        "The market {mood} today because {reason}.",
        "The market {mood} whenever {reason}.",
        "Everyone asks me about {asset}.",
        "Here is what {expert} will not tell you about {asset}.",
        "I lost everything on {asset}, so listen carefully.",
    ),
    "advice": (
        "Buy {asset} {when}, and sell it {when2}.",
        "Never sell {asset} {when}.",
        "Never buy {asset} unless {reason}.",
        "If {event}, buy {asset}; if not, buy more {asset}.",
        "Put {share} of your savings into {asset} and the rest into {asset}.",
        "A chart that looks like {thing} always means more {asset} {when}.",
        "Diversify: own {asset}, {asset} and {thing}.",
        "My rule is simple: when {event}, {reaction}.",
        "Remember that {asset} can only fall to zero, but {thing} can fall further.",
    ),
    "closing": (
        "This is not advice, it is a promise.",
        "Trust me, {expert} told me.",
        "You will thank me {when2}.",
        "Past losses guarantee future gains.",
        "That is how I got to where I am, which is {place}.",
    ),
    "mood": ("went up", "went down", "went sideways", "sneezed", "held its breath", "looked at its shoes"),
    "reason": (
        "{expert} had {thing} for breakfast",
        "the moon is in {asset}",
        "nobody was watching",
        "a butterfly sold {asset}",
        "interest rates felt lonely",
        "it was {weekday}",
    ),
    "event": (
        "it rains on {weekday}",
        "your dog barks at {asset}",
        "the news is good",
        "the news is bad",
        "{expert} cries",
    ),
    "reaction": ("panic slowly", "double it", "call {expert}", "hide {thing} under the bed", "do nothing twice"),
    "asset": (
        "gold",
        "bananas",
        "turnip futures",
        "railway bonds",
        "used socks",
        "tulips",
        "the Canadian dollar",
        "a friend's startup",
        "left shoes",
        "volatility",
    ),
    "thing": ("a mattress", "a small boat", "a head and shoulders", "a soup spoon", "two umbrellas", "an angry duck"),
    "expert": (
        "my uncle",
        "a man at the bus stop",
        "the chief economist",
        "my dentist",
        "an expert",
        "a very tall banker",
    ),
    "share": ("half", "all", "110 percent", "a third", "the best part"),
    "when": ("on {weekday}", "at lunch", "before it rains", "when the bell rings", "after two coffees"),
    "when2": ("one day later", "in forty years", "before anyone notices", "at the very top", "by {weekday}"),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "place": ("my mother's cellar", "a rented boat", "here", "court"),
}


def document(draws: Draws) -> str:
    """Returns a column of three to eight sentences."""
    sentences = ["opening", *["advice"] * draws.integer(1, 6), "closing"]
    return " ".join(_capitalized(draws.expand(_GRAMMAR, symbol)) for symbol in sentences)


def _capitalized(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
