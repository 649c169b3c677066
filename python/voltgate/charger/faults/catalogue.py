"""The closed list of faults (docs/reference.md), and what they make of a message."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

from voltgate.charger.faults import clocks, energy, transactions
from voltgate.charger.faults.scene import NEW, OLD, Fault, Moment, Scene
from voltgate.charger.messages import Message

BESIDE = ("BootNotification", "StatusNotification")
# In this order they are applied: what registers show, how it is written, which messages there are, times.
FAULTS: Mapping[str, Fault] = {
    "intervals": Fault("Send the energy since the last message in place of registers.", energy.intervals),
    "zeros_between": Fault("Send registers of 0 between transactions.", energy.zeros_between),
    "begin_zero": Fault("Send 0 in place of the register at the begin.", energy.begin_zero, provable=False),
    "samples_from_zero": Fault(
        "Count meter values from the begin of the transaction, its begin and end from the meter's life.",
        energy.samples_from_zero,
    ),
    "two_registers": Fault("Repeat the register of the begin in each meter value.", energy.two_registers),
    "register_reset": Fault(
        "Set the register to 0 inside the transaction.", energy.register_reset, provable=False
    ),
    "register_jumps_back": Fault("Send one register that is too low.", energy.register_jumps_back),
    "spike": Fault("Send one register that is 1 MWh too high.", energy.spike),
    "stop_zero": Fault("Send 0 in place of the register at the end.", energy.stop_zero, provable=False),
    "power_loss": Fault(
        "Boot before each end, which repeats the last meter value.", transactions.power_loss, provable=False
    ),
    "key_conflict": Fault(
        "Send each Updated event twice, with other content.", transactions.key_conflict, NEW
    ),
    "stop_twice": Fault("Send each end twice, with other content.", transactions.stop_twice),
    "values_after_stop": Fault("Send a meter value behind each end.", transactions.values_after_stop),
    "kwh": Fault("Send registers in kWh.", energy.kwh),
    "kwh_named_wh": Fault("Send registers in kWh, under the unit Wh.", energy.kwh_named_wh, provable=False),
    "multiplier": Fault("Send registers in Wh with a multiplier of 3.", energy.multiplier, NEW),
    "phases_only": Fault("Send a register for each phase, and no sum.", energy.phases_only),
    "phases_beside": Fault("Send a register for each phase beside the sum.", energy.phases_beside),
    "inlet_beside": Fault(
        "Send the register of the grid side (Inlet) before that of the vehicle's.", energy.inlet_beside
    ),
    "no_energy": Fault("Send meter values without energy.", energy.no_energy),
    "no_meter_values": Fault("Send no meter values.", energy.no_meter_values),
    "clock_aligned": Fault(
        "Send clock-aligned meter values only; in 1.6 without the transaction.", energy.clock_aligned
    ),
    "odd_numbers": Fault("Send numbers with spaces, NaN and nothing.", energy.odd_numbers, OLD),
    "signed_beside": Fault("Send a signed value before each register.", energy.signed_beside, OLD),
    "bare_values": Fault("Leave out what has a default in 1.6.", energy.bare_values, OLD),
    "tx_id_unknown": Fault(
        "Send the transactionId -1 in meter values and stops.", transactions.tx_id_unknown, OLD
    ),
    "tx_id_repeats": Fault("Use the transactionIds 1 and 2 in turn.", versions=NEW, repeats_ids=True),
    "evse_bare": Fault("Leave out the connector of the EVSE.", transactions.evse_bare, NEW),
    "token_late": Fault("Send the token in the second event.", transactions.token_late, NEW),
    "stop_without_tag": Fault("Send no tag with a stop.", transactions.stop_without_tag, OLD),
    "charges_anyway": Fault("Charge although the token is refused.", stubborn=True),
    "seq_restarts": Fault("Count seqNo from 0 again inside the transaction.", transactions.seq_restarts, NEW),
    "start_rewritten": Fault(
        "Send each start twice, with another text of its time.", transactions.start_rewritten, OLD
    ),
    "stop_stray": Fault("Send the end of an unknown transaction too.", transactions.stop_stray),
    "start_lost": Fault("Lose the begin of each transaction.", transactions.start_lost, provable=False),
    "stop_lost": Fault("Lose the end of each transaction.", transactions.stop_lost, provable=False),
    "seq_gap": Fault("Lose an Updated event.", transactions.seq_gap, NEW, provable=False),
    "sent_twice": Fault("Send each message of a transaction twice.", transactions.sent_twice),
    "reboot": Fault("Boot inside the transaction and go on.", transactions.reboot),
    "status_available": Fault("Report Available while charging.", transactions.status_available),
    "offline_backlog": Fault("Lose the connection during each transaction.", away=True),
    "no_clock": Fault("Count time from 1970-01-01 at each start.", clocks.no_clock),
    "clock_zone": Fault("Send local time (UTC+2) as UTC.", clocks.clock_zone),
    "clock_drifts": Fault("Let the clock run 2 % fast.", clocks.clock_drifts),
}


def named(text: str) -> tuple[str, ...]:
    """The names in ``a,b``, in the order of the list. Raises ValueError for one that is not in it."""
    wanted = {name.strip() for name in text.split(",")} - {""}
    for name in sorted(wanted - set(FAULTS)):
        raise ValueError(f"{name}: no such fault; the faults are {', '.join(FAULTS)}")
    return tuple(name for name in FAULTS if name in wanted)


def applied(names: Sequence[str], message: Message, scene: Scene) -> list[Message]:
    """What a charger with these faults sends in place of ``message``, which is not changed."""
    messages = [message]
    for name in names:
        fault = FAULTS[name]
        if scene.version in fault.versions:
            messages = [new for one in messages for new in fault.rewrite(deepcopy(one), _scene(one, scene))]
    return messages


def _scene(message: Message, scene: Scene) -> Scene:
    """A boot or a status that a fault has added is not a message of the transaction."""
    return replace(scene, moment=Moment.OTHER, readings=()) if message[0] in BESIDE else scene
