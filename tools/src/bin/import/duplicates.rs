//! Rows with the same address: the first one in the file counts.
//!
//! A 64-bit hash is kept for each address. That takes 16 bytes, and with the free space of the hash table 2 to 4 MB for 100,000
//! rows. If two different addresses had the same hash, the report would name a wrong line. Among a million addresses, the
//! probability of that is 1 in 37 million.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher as _, RandomState},
};

use crate::table::Contact;

/// The addresses that have been seen.
#[derive(Default)]
pub struct Duplicates {
    hasher: RandomState,
    seen: HashMap<u64, Seen>,
}

#[derive(Clone, Copy)]
struct Seen {
    line: u32,
    name: u32,
}

/// An earlier row with the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The line of the first one.
    pub line: u64,
    /// It has the same name too, so the two are one contact.
    pub has_same_name: bool,
}

impl Duplicates {
    /// The hash that is kept for a contact's address.
    pub fn address(&self, contact: &Contact) -> u64 {
        self.hasher.hash_one(contact.parsed.email.key())
    }

    /// Remembers a row, and finds the first one before it with its address.
    pub fn add(&mut self, address: u64, contact: &Contact, line: u64) -> Option<Earlier> {
        let name = self.hasher.hash_one(contact.parsed.name.as_str());
        // Half of a hash is enough to distinguish two names of one address.
        #[expect(clippy::cast_possible_truncation)]
        let name = name as u32;
        match self.seen.entry(address) {
            Entry::Vacant(entry) => {
                let line = u32::try_from(line).unwrap_or(u32::MAX);
                entry.insert(Seen { line, name });
                None
            }
            Entry::Occupied(entry) => Some(Earlier {
                line: entry.get().line.into(),
                has_same_name: entry.get().name == name,
            }),
        }
    }
}
