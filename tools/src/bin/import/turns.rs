//! Rows with the same address are sent one after another, in the order of the file. All others are sent in parallel.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet, VecDeque},
};

use tokio::sync::Notify;

/// Which row of each address may be sent next. Only rows in progress are in here.
#[derive(Default)]
pub struct Turns {
    queues: RefCell<HashMap<u64, VecDeque<u64>>>,
    /// Addresses of which a row was rejected or not sent.
    lost: RefCell<HashSet<u64>>,
    next: Notify,
}

impl Turns {
    /// Puts a row at the end of its address's queue.
    pub fn queue(&self, address: u64, line: u64) {
        self.queues.borrow_mut().entry(address).or_default().push_back(line);
    }

    /// Waits until a row is the first of its queue. Returns whether no row before it was rejected or left unsent.
    pub async fn wait(&self, address: u64, line: u64) -> bool {
        loop {
            // All of this runs on one thread, so no row can finish between the check and the wait.
            let is_first = self.queues.borrow().get(&address).and_then(VecDeque::front) == Some(&line);
            if is_first {
                return !self.lost.borrow().contains(&address);
            }
            self.next.notified().await;
        }
    }

    /// Lets the next row of an address be sent.
    pub fn done(&self, address: u64, is_decided: bool) {
        if !is_decided {
            self.lost.borrow_mut().insert(address);
        }
        let mut queues = self.queues.borrow_mut();
        if let Some(queue) = queues.get_mut(&address) {
            queue.pop_front();
            if queue.is_empty() {
                queues.remove(&address);
            } else {
                self.next.notify_waiters();
            }
        }
    }
}
