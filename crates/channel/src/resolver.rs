//! Name resolution that gives out allowed addresses only.
//!
//! The HTTP client connects to exactly the addresses it gets from here, so what a name resolves to
//! is judged at the moment it is used: a name that answers with a public address when a
//! subscription is created and with a private one later (DNS rebinding) gains nothing. The client
//! does not ask for literal addresses; [`crate::endpoint_refusal`] judges those.
//!
//! A lookup at a name server that drops what it is asked holds a thread for long. So names that have not
//! been found before use half of the lookups at most, and those that have can use all.
//!
//! Its tests are in `rest_hook/tests.rs`.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::address::{AddressPolicy, AddressRange};

/// Most lookups under way at once. Each holds a thread of the blocking pool until the system gives
/// up on it, also when nobody waits for it any more.
pub(crate) const LOOKUPS_MAX: usize = 256;

/// How long an attempt waits for its lookup to begin: less than any timeout, so that it does not look as
/// if its host had not answered.
const LOOKUP_WAIT_MAX: Duration = Duration::from_millis(500);

/// Most names that are remembered as found.
const NAMES_MAX: usize = 10_000;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// The addresses of a name. A trait so that tests need no name server.
pub(crate) trait Lookup: Send + Sync + 'static {
    /// Looks up all addresses of a name.
    fn lookup(&self, name: String) -> Looking;
}

/// A lookup under way.
pub(crate) type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Lookup by the system, as other programs of the machine see names.
pub(crate) struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> Looking {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// The resolver that the HTTP client asks.
pub(crate) struct Resolver {
    lookup: Arc<dyn Lookup>,
    /// None where only a proxy is connected to.
    policy: Option<AddressPolicy>,
    permits: Arc<Permits>,
}

/// Who may be looked up now.
struct Permits {
    all: Arc<Semaphore>,
    /// For names that have not been found before.
    unknown: Arc<Semaphore>,
    /// Names that have been found.
    found: Mutex<HashSet<String>>,
}

/// What a lookup under way takes; given back when it is dropped.
struct Permit {
    _one: OwnedSemaphorePermit,
    _of_unknown: Option<OwnedSemaphorePermit>,
}

impl Permits {
    fn new() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let (all, unknown) = (semaphore(LOOKUPS_MAX), semaphore(LOOKUPS_MAX / 2));
        Self { all, unknown, found: Mutex::default() }
    }

    async fn permit(&self, name: &str) -> Result<Permit, Crowded> {
        let waiting = async {
            let unknown = !self.found().contains(name);
            let of_unknown = match unknown {
                true => Some(self.unknown.clone().acquire_owned().await?),
                false => None,
            };
            Ok::<_, AcquireError>(Permit {
                _one: self.all.clone().acquire_owned().await?,
                _of_unknown: of_unknown,
            })
        };
        timeout(LOOKUP_WAIT_MAX, waiting).await.map_err(|_| Crowded)?.map_err(|_| Crowded)
    }

    /// Remembers whether a name was found.
    fn note(&self, name: String, is_found: bool) {
        let mut found = self.found();
        if !is_found {
            found.remove(&name);
            return;
        }
        if found.len() >= NAMES_MAX {
            found.clear();
        }
        found.insert(name);
    }

    fn found(&self) -> MutexGuard<'_, HashSet<String>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver {
    /// A resolver that gives out what the policy allows, or everything without one.
    pub(crate) fn new(lookup: Arc<dyn Lookup>, policy: Option<AddressPolicy>) -> Self {
        Self { lookup, policy, permits: Arc::new(Permits::new()) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let lookup = Arc::clone(&self.lookup);
        let policy = self.policy.clone();
        let permits = Arc::clone(&self.permits);
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let permit = permits.permit(&name).await?;
            let looking = lookup.lookup(name.clone());
            // A task of its own: when the attempt's deadline passes, the lookup's thread is still
            // taken, and so must be its permit.
            let found = tokio::spawn(async move {
                let found = looking.await;
                drop(permit);
                permits.note(name, found.is_ok());
                found
            });
            let allowed = allowed(policy.as_ref(), found.await??)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Too many names are being looked up.
#[derive(Debug, thiserror::Error)]
#[error("too many names are being looked up")]
pub(crate) struct Crowded;

/// A name has addresses, and all of them are refused.
#[derive(Debug)]
pub(crate) struct AllRefused(pub(crate) AddressRange);

impl fmt::Display for AllRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the endpoint is {}, which is not allowed", self.0)
    }
}

impl std::error::Error for AllRefused {}

/// The addresses that the policy allows, each with port 0; [`AllRefused`] if there are others only.
pub(crate) fn allowed(
    policy: Option<&AddressPolicy>,
    found: Vec<IpAddr>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    let mut refused = None;
    let mut allowed = Vec::with_capacity(found.len().min(ADDRESSES_MAX));
    for address in found {
        match policy.and_then(|policy| policy.refusal(address)) {
            Some(range) => refused = refused.or(Some(range)),
            // Port 0 is replaced by the port of the URL.
            None if allowed.len() < ADDRESSES_MAX => allowed.push(SocketAddr::new(address, 0)),
            None => {}
        }
    }
    match (allowed.is_empty(), refused) {
        (false, _) => Ok(allowed),
        (true, Some(range)) => Err(Box::new(AllRefused(range))),
        (true, None) => Err(io::Error::from(io::ErrorKind::NotFound).into()),
    }
}
