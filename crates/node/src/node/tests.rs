//! Whether a node is ready, by what becomes of its loops.

use cresset_store::MemoryStore;

use super::*;
use crate::tests::fixture::config;

fn shared() -> Arc<Shared> {
    let store = Arc::new(MemoryStore::default());
    Arc::new(Shared::new(config(), Brokers::default(), store, Clock::system()))
}

fn is_missed(shared: &Shared) -> bool {
    shared.stopped.load(Ordering::Acquire)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_loops_have_ended_is_not_ready() {
    let config = config();
    let endpoints = config.subscriptions.endpoints.clone();
    let rest_hook = RestHook::new(&cresset_channel::Config::default(), endpoints).unwrap();
    let store = Arc::new(MemoryStore::default());
    let (node, mut stopper) =
        Node::start(config, store, rest_hook, Brokers::default(), Clock::system()).unwrap();
    assert!(node.is_ready());
    stopper.loops.abort_all();
    while stopper.loops.join_next().await.is_some() {}
    assert!(!node.is_ready());
}

#[tokio::test]
async fn a_loop_that_panics_is_missed() {
    async fn panics() {
        panic!("planted");
    }

    let shared = shared();
    let ended = tokio::spawn(watched("planted", shared.clone(), panics())).await;
    assert!(ended.is_err() && is_missed(&shared));
}

#[tokio::test]
async fn a_loop_that_never_took_a_step_is_missed() {
    let shared = shared();
    drop(watched("planted", shared.clone(), std::future::pending()));
    assert!(is_missed(&shared));
}

#[tokio::test]
async fn a_loop_that_ends_because_the_node_stops_is_not_missed() {
    let shared = shared();
    shared.stopping.store(true, Ordering::Release);
    watched("planted", shared.clone(), async {}).await;
    assert!(!is_missed(&shared));
}
