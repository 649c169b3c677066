//! What leaves for NATS: the outbox and its bounds, and the table of publishes that wait for their `PubAck`.

use proptest::prelude::*;
use std::collections::BTreeMap;
use voltgate_core::budget::{Budget, Rates};
use voltgate_core::counts::Histogram;
use voltgate_core::outbox::{AT_ONCE, Outbox, Pushed};
use voltgate_core::seen::{Answered, Mark, TransactionKeys};
use voltgate_core::stores::{Store, Stores};

fn opened(max_payload: usize, max_waiting: usize) -> Outbox {
    let mut outbox = Outbox::default();
    (outbox.open, outbox.max_payload, outbox.max_waiting) = (true, max_payload, max_waiting);
    outbox
}

#[test]
fn the_first_bytes_and_the_32nd_kib_ask_for_a_write() {
    let mut outbox = opened(AT_ONCE, 2 * AT_ONCE);
    let half = vec![0; AT_ONCE / 2];
    let pushed = [&half[..], b"x", &half, &half].map(|command| outbox.push(command));
    assert_eq!(pushed, [Pushed::Due, Pushed::Waits, Pushed::Due, Pushed::Waits]);
    assert_eq!(outbox.take(<[u8]>::len), 3 * half.len() + 1);
    assert_eq!((outbox.is_empty(), outbox.push(b"x")), (true, Pushed::Due));
}

#[test]
fn what_nats_cannot_take_is_refused_but_lines_are_not() {
    let mut outbox = opened(4, 6);
    assert_eq!(outbox.push(b"12345"), Pushed::Refused);
    assert_eq!([outbox.push(b"1234"), outbox.push(b"1234")], [Pushed::Due, Pushed::Waits]);
    assert_eq!(outbox.push(b"1"), Pushed::Refused, "more than 6 bytes wait");
    assert_eq!(outbox.add(b"SUB"), Pushed::Waits);
    outbox.take(|_| ());
    outbox.written = 7;
    assert_eq!(outbox.push(b"1"), Pushed::Refused);
    (outbox.written, outbox.open) = (0, false);
    assert_eq!(outbox.push(b"1"), Pushed::Refused);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    Take(u64),
}

proptest! {
    /// The table is a map from counter to store, whatever the order in which its stores end.
    #[test]
    fn stores_are_found_by_their_counter(
        steps in prop::collection::vec(
            prop_oneof![(0_u64..4).prop_map(Step::Put), (0_u64..40).prop_map(Step::Take)], 0..80
        )
    ) {
        let (mut stores, mut model, mut last) = (Stores::default(), BTreeMap::new(), 0);
        for step in steps {
            match step {
                Step::Put(skipped) => {
                    last += 1 + skipped;
                    stores.put(last, Store::new(last, b"x", false, 0.0));
                    model.insert(last, last);
                }
                Step::Take(counter) => {
                    prop_assert_eq!(stores.take(counter).map(|store| store.owner), model.remove(&counter));
                }
            }
            prop_assert_eq!(stores.len(), model.len());
            for counter in 0..=last {
                prop_assert_eq!(stores.get(counter).map(|store| store.owner), model.get(&counter).copied());
            }
        }
        let left: Vec<u64> = stores.take_all().into_iter().map(|store| store.owner).collect();
        prop_assert_eq!(left, model.into_values().collect::<Vec<_>>());
        prop_assert!(stores.is_empty());
    }
}

#[test]
fn a_counter_may_come_late_and_deadlines_are_kept_in_order() {
    let mut stores = Stores::default();
    for (counter, tx, sent) in [(7, true, 1.0), (5, false, 2.0), (8, true, 3.0), (9, true, 4.0)] {
        stores.put(counter, Store::new((), b"x", tx, sent));
    }
    assert!([5, 7, 8, 9].iter().all(|counter| stores.get(*counter).is_some()));
    stores.take(5);
    assert_eq!(stores.overdue(1.0, 3.0), (vec![7], vec![8]));
    assert_eq!(stores.overdue(1.0, 4.0), (vec![7], vec![9]), "sent again once");
}

#[test]
fn a_key_with_other_bytes_is_a_conflict_until_it_is_forgotten() {
    let mut keys = TransactionKeys::default();
    assert!(!keys.conflicts(b"k", b"1") && !keys.conflicts(b"k", b"1") && keys.conflicts(b"k", b"2"));
    for number in 0..30_000_u32 {
        keys.conflicts(&number.to_be_bytes(), b"1");
    }
    assert!(keys.conflicts(b"k", b"2"), "the older generation");
    for number in 30_000..90_000_u32 {
        keys.conflicts(&number.to_be_bytes(), b"1");
    }
    assert!(!keys.conflicts(b"k", b"2"));
}

#[test]
fn eight_answers_are_remembered_one_for_each_id() {
    let mut answered = Answered::default();
    let mark = |id: u32, payload: &[u8]| Mark::of("s", &id.to_string(), "A", payload);
    for id in 0..9 {
        answered.add(mark(id, b"x"), id);
    }
    assert_eq!([0, 1, 8].map(|id| answered.find(mark(id, b"x")).copied()), [None, Some(1), Some(8)]);
    assert_eq!(answered.find(mark(1, b"y")), None, "the same id, another message");
    answered.add(mark(1, b"y"), 10);
    assert_eq!([answered.find(mark(1, b"x")), answered.find(mark(1, b"y"))], [None, Some(&10)]);
    assert_eq!(answered.find(mark(2, b"x")), Some(&2), "its own place was free");
}

#[test]
fn a_budget_falls_by_its_rate_and_may_be_overdrawn_by_one_message() {
    let rates = Rates { calls: 2.0, calls_burst: 3.0, stored: 10.0, stored_burst: 100.0 };
    let mut budget = Budget::default();
    let over = |budget: &mut Budget, now| budget.count(now, 1.0, &rates);
    assert_eq!([1.0, 1.0, 1.0, 1.0].map(|now| over(&mut budget, now)), [false, false, false, true]);
    assert_eq!([2.0, 2.0].map(|now| over(&mut budget, now)), [false, true]);
    budget = Budget::default();
    budget.store(5.0, 101.0, rates.stored);
    assert!(over(&mut budget, 5.0));
    budget.store(6.0, 0.0, rates.stored);
    assert!(!over(&mut budget, 6.0));
}

#[test]
fn a_duration_on_a_bound_belongs_to_it() {
    let mut histogram = Histogram::new(vec![1.0, 2.0]);
    for (seconds, times) in [(0.5, 1), (1.0, 2), (1.5, 1), (9.0, 1)] {
        histogram.observe(seconds, times);
    }
    assert_eq!(histogram.take(), (vec![3, 1, 1], 13.0));
    assert_eq!(histogram.take(), (vec![0, 0, 0], 0.0));
}
