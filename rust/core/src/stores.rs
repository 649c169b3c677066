//! The publishes whose `PubAck` is awaited, each under the counter of its reply subject.
//!
//! Counters rise and every store waits equally long, so the order of insertion is the order of deadlines: the
//! table is a queue whose front is the oldest, and a counter minus that of the front is a place in it.

use std::collections::VecDeque;

/// One publish. `T`: who is told what became of it.
#[derive(Debug)]
pub struct Store<T> {
    /// Who waits for it.
    pub owner: T,
    /// The whole command, to be sent again.
    pub command: Box<[u8]>,
    /// Whether it is of class `tx`.
    pub tx: bool,
    /// Monotonic seconds when it was published.
    pub sent: f64,
    /// Whether it was sent again because nothing was heard of it.
    again: bool,
}

impl<T> Store<T> {
    /// A publish that is sent now.
    #[must_use]
    pub fn new(owner: T, command: &[u8], tx: bool, sent: f64) -> Self {
        Self { owner, command: command.into(), tx, sent, again: false }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Stores<T> {
    slots: VecDeque<Option<Store<T>>>,
    /// The counter of the front.
    base: u64,
    count: usize,
}

impl<T> Default for Stores<T> {
    fn default() -> Self {
        Self { slots: VecDeque::new(), base: 0, count: 0 }
    }
}

impl<T> Stores<T> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds one. Counters that are skipped belong to questions.
    pub fn put(&mut self, counter: u64, store: Store<T>) {
        if self.slots.is_empty() {
            self.base = counter;
        }
        while counter < self.base {
            self.slots.push_front(None);
            self.base -= 1;
        }
        let place = usize::try_from(counter - self.base).unwrap_or(usize::MAX);
        while self.slots.len() <= place {
            self.slots.push_back(None);
        }
        self.count += usize::from(self.slots[place].is_none());
        self.slots[place] = Some(store);
    }

    fn place(&self, counter: u64) -> Option<usize> {
        usize::try_from(counter.checked_sub(self.base)?).ok()
    }

    /// The one of `counter`.
    #[must_use]
    pub fn get(&self, counter: u64) -> Option<&Store<T>> {
        self.slots.get(self.place(counter)?)?.as_ref()
    }

    /// Takes the one of `counter` out.
    pub fn take(&mut self, counter: u64) -> Option<Store<T>> {
        let place = self.place(counter)?;
        let store = self.slots.get_mut(place)?.take()?;
        self.count -= 1;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
        Some(store)
    }

    /// Takes all of them out, in order.
    pub fn take_all(&mut self) -> Vec<Store<T>> {
        self.count = 0;
        self.slots.drain(..).flatten().collect()
    }

    /// The counters of those sent at `late` or before, and of those of class `tx` sent at `silent` or before that
    /// were not sent again yet; they count as sent again from now on.
    pub fn overdue(&mut self, late: f64, silent: f64) -> (Vec<u64>, Vec<u64>) {
        let (mut failed, mut again) = (Vec::new(), Vec::new());
        for (counter, slot) in (self.base..).zip(&mut self.slots) {
            let Some(store) = slot else { continue };
            if store.sent > silent {
                break;
            }
            if store.sent <= late {
                failed.push(counter);
            } else if store.tx && !store.again {
                store.again = true;
                again.push(counter);
            }
        }
        (failed, again)
    }
}
