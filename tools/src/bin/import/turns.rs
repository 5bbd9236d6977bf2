//! Rows with the same address take turns, in the order of the file; all others go side by side.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet, VecDeque},
};

use tokio::sync::Notify;

/// Which row of each address has its turn. Only rows under way are in here.
#[derive(Default)]
pub struct Turns {
    queues: RefCell<HashMap<u64, VecDeque<u64>>>,
    /// Addresses of rows that didn't get in although nothing is wrong with them.
    lost: RefCell<HashSet<u64>>,
    next: Notify,
}

impl Turns {
    /// Puts a row at the end of its address's queue.
    pub fn queue(&self, address: u64, line: u64) {
        self.queues.borrow_mut().entry(address).or_default().push_back(line);
    }

    /// Waits until a row is the first of its queue; whether the rows before it are all decided.
    pub async fn wait(&self, address: u64, line: u64) -> bool {
        loop {
            // All of this runs on one thread: nobody is done between the look and the wait.
            let is_first = self.queues.borrow().get(&address).and_then(VecDeque::front) == Some(&line);
            if is_first {
                return !self.lost.borrow().contains(&address);
            }
            self.next.notified().await;
        }
    }

    /// Lets the next row of an address have its turn.
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
