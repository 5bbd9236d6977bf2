//! Rows with the same address: the first one in the file counts, and is sent before the others.
//!
//! A 64-bit hash is kept for each address. That takes 16 bytes, and with the free space of the hash table 2 to 4 MB for 100,000
//! rows. If two different addresses had the same hash, the report would name a wrong line. Among a million addresses, the
//! probability of that is 1 in 37 million.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
};

use tokio::sync::watch;

use crate::table::Contact;

/// The addresses that have been seen.
#[derive(Default)]
pub struct Duplicates {
    hasher: RandomState,
    /// The line of the first row with each address, and half of the hash of its name: enough for two names of one address.
    seen: RefCell<HashMap<u64, (u32, u32)>>,
    firsts: watch::Sender<Firsts>,
}

/// The first rows with their addresses that aren't imported.
#[derive(Default)]
struct Firsts {
    undecided: HashSet<u64>,
    lost: HashSet<u64>,
}

/// A row among those with the same address.
#[derive(Clone, Copy)]
pub struct Place {
    /// The hash of the address.
    address: u64,
    /// The line of the first row with it, if this is another one.
    pub first: Option<u32>,
    /// That row has the same name too, so the two are one contact.
    pub has_same_name: bool,
}

impl Duplicates {
    /// Remembers a row.
    #[expect(clippy::cast_possible_truncation)]
    pub fn add(&self, contact: &Contact, line: u64) -> Place {
        let address = self.hasher.hash_one(contact.email.key());
        let name = self.hasher.hash_one(contact.name.as_str()) as u32;
        let seen = self.seen.borrow().get(&address).copied();
        if seen.is_none() {
            self.seen.borrow_mut().insert(address, (line as u32, name));
            self.firsts.send_modify(|firsts| firsts.undecided.extend([address]));
        }
        Place {
            address,
            first: seen.map(|(line, _)| line),
            has_same_name: seen.is_some_and(|(_, other)| other == name),
        }
    }

    /// Remembers whether a row is lost, so that later ones with its address needn't wait any longer.
    pub fn decide(&self, place: Place, is_lost: bool) {
        if place.first.is_none() {
            self.firsts.send_modify(|firsts| {
                firsts.undecided.remove(&place.address);
                firsts.lost.extend(is_lost.then_some(place.address));
            });
        }
    }

    /// Waits until the first row with this address is decided. Returns whether it was imported.
    pub async fn is_first_in(&self, place: Place) -> bool {
        let mut firsts = self.firsts.subscribe();
        let decided = firsts.wait_for(|firsts| !firsts.undecided.contains(&place.address));
        decided.await.is_ok_and(|firsts| !firsts.lost.contains(&place.address))
    }
}
