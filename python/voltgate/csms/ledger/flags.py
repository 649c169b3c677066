"""Flags of sessions: what is unusual about a number, in plain words (docs/csms.md). A closed list."""

from enum import Enum


class Flag(Enum):
    """``label``: its name in tables and answers. ``review``: a person decides before it is settled."""

    START_UNKNOWN = "start_unknown", "The charger reported no start of this session.", True
    STOP_UNKNOWN = "stop_unknown", "The charger ended the session without a usable meter reading.", False
    END_PRESUMED = "end_presumed", "The charger reported no end; it follows from other reports.", False
    START_REFUSED = "start_refused", "The start was refused, and the charger went on.", False
    SEQUENCE_GAP = "sequence_gap", "Messages of the session are missing.", True
    REGISTER_FELL = "register_fell", "A meter register fell; the fall is not counted.", False
    REGISTERS_DIFFER = (
        "registers_differ", "The readings contradict each other; the smallest energy is billed.", False,
    )  # fmt: skip
    BEYOND_PHYSICS = (
        "beyond_physics", "A reading is more energy than the connector can deliver; not billed.", False,
    )  # fmt: skip
    UNIT_DOUBTFUL = "unit_doubtful", "Readings have the wrong unit, as the power shows.", False
    CLOCK_CORRECTED = "clock_corrected", "The charger's clock was wrong; times are corrected.", False
    KEY_CONFLICT = "key_conflict", "Two different messages have one number; the first counts.", False
    SEVERAL_STOPS = "several_stops", "The charger reported several ends; the first counts.", False
    NO_ENERGY = "no_energy", "No energy can be proven.", False
    AFTER_STOP = "after_stop", "Readings came after the end; they are not counted.", False
    TRANSACTION_UNKNOWN = (
        "transaction_unknown", "The charger named no usable transaction; place and time decide.", False,
    )  # fmt: skip
    CORRECTED = "corrected", "A person has set the energy.", False
    WAIVED = "waived", "A person has waived the cost.", False
    NO_TARIFF = "no_tariff", "No tariff was assigned; the session is free of charge.", False

    label: str
    words: str
    review: bool

    def __init__(self, label: str, words: str, review: bool) -> None:
        self.label, self.words, self.review = label, words, review


_BY_LABEL = {flag.label: flag for flag in Flag}


def joined(flags: set[Flag]) -> str:
    """The column ``session.flags``: labels in alphabetical order, a space between them."""
    return " ".join(sorted(flag.label for flag in flags))


def split(column: str) -> set[Flag]:
    """The flags of a column."""
    return {_BY_LABEL[label] for label in column.split()}
