use cresset_store::Store;
use cresset_store::contract::Fixture;
use tempfile::TempDir;

use crate::EmbeddedStore;
use crate::log::Limits;

/// A store in a directory of its own.
struct Embedded {
    directory: TempDir,
    limits: Limits,
    store: Option<EmbeddedStore>,
}

impl Embedded {
    fn new(limits: Limits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut fixture = Self { directory, limits, store: None };
        fixture.reopen();
        fixture
    }
}

impl Fixture for Embedded {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        drop(self.store.take());
        let store = EmbeddedStore::open_with(self.directory.path(), self.limits).unwrap();
        self.store = Some(store);
    }
}

mod as_it_is {
    use super::*;
    cresset_store::contract_tests!(Embedded::new(Limits::default()));
}

/// Everything is folded into the file at once, and much of it while more is appended.
mod with_a_tiny_tail {
    use super::*;
    cresset_store::contract_tests!(Embedded::new(Limits { tail_weight_max: 5 }));
}
