use crate::contract::Fixture;
use crate::{MemoryStore, Store};

/// What is in memory survives what is built around it: reopening is nothing.
struct Memory(MemoryStore);

impl Fixture for Memory {
    fn store(&self) -> &dyn Store {
        &self.0
    }

    fn reopen(&mut self) {}
}

crate::contract_tests!(Memory(MemoryStore::new()));
