use std::sync::Arc;

use crate::contract::Fixture;
use crate::{MemoryStore, Store};

/// What is in memory survives what is built around it: reopening is nothing.
struct Memory(Arc<MemoryStore>);

impl Fixture for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as Arc<dyn Store>
    }

    fn reopen(&mut self) {}
}

crate::contract_tests!(Memory(Arc::new(MemoryStore::new())));
