"""TransactionEvents with a known key and other bytes are counted (docs/contract.md 3.3)."""

from world import World, event


def test_a_transaction_event_with_a_known_key_and_other_bytes_is_stored_and_counted() -> None:
    world = World("v21")
    world.send("1", "TransactionEvent", event(3))
    world.connect()
    world.send("2", "TransactionEvent", event(3, offline=True))
    assert len(world.bus.streams["tx"]) == 2
    assert world.counted("voltgate_key_conflicts_total") == 1
