//! Connections by cookie: one hash look-up each, bounded, and nothing is allocated but by growth.

use std::{collections::VecDeque, hash::BuildHasher};

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

use super::Connection;
use model::linux::LinuxState;

/// Sockets in CLOSE that may be remembered. As a rule each is destroyed at once; the rest are those whose end was
/// lost, and those that a program keeps open and may connect again, which is a new life anyway.
const CLOSED: usize = 16_384;

/// Every connection. Entries live in a slab so that growing moves small indices, not connections, and the index
/// finds them by the cookie inside.
#[derive(Debug, Default)]
pub(super) struct Table {
    index: HashTable<u32>,
    entries: Slab<Connection>,
    hasher: DefaultHashBuilder,
    /// Sockets that went to CLOSE, oldest first, and when; most have been destroyed since.
    closed: VecDeque<(u32, u64)>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn find(&self, key: u64) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.index
            .find(hash, |&id| self.entries.get(id as usize).is_some_and(|entry| entry.key == key))
            .copied()
    }

    pub(super) fn get(&self, id: u32) -> Option<&Connection> {
        self.entries.get(id as usize)
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Connection> {
        self.entries.get_mut(id as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.entries.iter().map(|(_, connection)| connection)
    }

    /// Adds a connection whose key is not there yet; `None` when there are no more numbers.
    pub(super) fn insert(&mut self, connection: Connection) -> Option<u32> {
        let Self { index, entries, hasher, .. } = self;
        let hash = hasher.hash_one(connection.key);
        let vacant = entries.vacant_entry();
        let id = u32::try_from(vacant.key()).ok()?;
        vacant.insert(connection);
        index.insert_unique(hash, id, |&id| hash_of(hasher, entries, id));
        Some(id)
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Connection> {
        let connection = self.entries.try_remove(id as usize)?;
        let hash = self.hasher.hash_one(connection.key);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        Some(connection)
    }

    /// Gives a connection another key.
    pub(super) fn rename(&mut self, id: u32, key: u64) {
        let Self { index, entries, hasher, .. } = self;
        let Some(connection) = entries.get_mut(id as usize) else { return };
        let old = hasher.hash_one(connection.key);
        connection.key = key;
        if let Ok(entry) = index.find_entry(old, |&other| other == id) {
            entry.remove();
        }
        index.insert_unique(hasher.hash_one(key), id, |&id| hash_of(hasher, entries, id));
    }

    /// Notes that a connection has gone to CLOSE.
    pub(super) fn closed(&mut self, id: u32, time: u64) {
        self.closed.push_back((id, time));
    }

    /// The connection in CLOSE to be forgotten next: one that has piled up, or, when room is needed, the oldest.
    pub(super) fn stale(&mut self, need_room: bool) -> Option<u32> {
        while let Some(&(id, time)) = self.closed.front() {
            let waits =
                self.get(id).is_some_and(|entry| entry.state == LinuxState::Close && entry.since == time);
            if waits && !need_room && self.closed.len() <= CLOSED {
                return None;
            }
            self.closed.pop_front();
            if waits {
                return Some(id);
            }
        }
        None
    }
}

fn hash_of(hasher: &DefaultHashBuilder, entries: &Slab<Connection>, id: u32) -> u64 {
    hasher.hash_one(entries.get(id as usize).map_or(0, |entry| entry.key))
}
