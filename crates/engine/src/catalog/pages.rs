//! A table of values under 64-bit keys that shares with its clones what did not change.
//!
//! A tree over the bits of the mixed keys: an inner node has a place for each value of the next few
//! bits, a leaf is one block of memory as long as what is in it. A change copies one leaf and the nodes
//! above it; a look-up touches one node a level, of which there are four at a million, and one leaf.
//! Keys that share their leading bits, by bad luck or by malice, make a branch deeper and never a leaf
//! longer, as long as no key has many values; the caller sees to that. Tests: `catalog/tests/pages.rs`.

use std::sync::Arc;

use triomphe::ThinArc;

/// Bits that one level looks at.
const BITS: u32 = 4;
/// Places of an inner node.
const FANOUT: usize = 1 << BITS;
/// Values of a leaf, beyond which it is divided.
const LEAF_MAX: usize = 32;

/// Values by a key, of which several may have the same one.
#[derive(Debug, Clone)]
pub(super) struct Pages<V> {
    root: Node<V>,
    len: usize,
}

/// A part of the tree; values stand beside their mixed keys.
#[derive(Debug)]
enum Node<V> {
    Empty,
    Inner(Arc<[Self; FANOUT]>),
    Leaf(ThinArc<(), (u64, V)>),
}

impl<V> Clone for Node<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Inner(children) => Self::Inner(Arc::clone(children)),
            Self::Leaf(leaf) => Self::Leaf(ThinArc::clone(leaf)),
        }
    }
}

impl<V> Default for Pages<V> {
    fn default() -> Self {
        Self { root: Node::Empty, len: 0 }
    }
}

impl<V: Clone> Pages<V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values under a key.
    pub(super) fn get(&self, key: u64) -> impl Iterator<Item = &V> {
        let (key, mut node, mut depth) = (mix(key), &self.root, 0);
        let leaf = loop {
            match node {
                Node::Empty => break &[][..],
                Node::Inner(children) => node = &children[place(key, depth)],
                Node::Leaf(leaf) => break &leaf.slice,
            }
            depth += 1;
        };
        leaf.iter().filter(move |(one, _)| *one == key).map(|(_, value)| value)
    }

    /// Adds a value, whatever is there under its key.
    pub(super) fn insert(&mut self, key: u64, value: V) {
        self.root.insert(mix(key), 0, &value);
        self.len += 1;
    }

    /// Takes out a value of a key.
    pub(super) fn remove(&mut self, key: u64, is: impl Fn(&V) -> bool) -> Option<V> {
        // Nodes are copied only where there is something to take out.
        let removed = self.get(key).find(|value| is(value)).cloned()?;
        self.root.remove(mix(key), 0, &is);
        self.len -= 1;
        Some(removed)
    }

    /// Shows all values, in no order that means anything.
    pub(super) fn for_each<'p>(&'p self, mut visit: impl FnMut(&'p V)) {
        let mut open = vec![&self.root];
        while let Some(node) = open.pop() {
            match node {
                Node::Empty => {}
                Node::Inner(children) => open.extend(children.iter()),
                Node::Leaf(leaf) => leaf.slice.iter().for_each(|(_, value)| visit(value)),
            }
        }
    }
}

impl<V: Clone> Node<V> {
    fn leaf(entries: &[(u64, V)]) -> Self {
        if entries.is_empty() {
            return Self::Empty;
        }
        Self::Leaf(ThinArc::from_header_and_iter((), entries.iter().cloned()))
    }

    fn insert(&mut self, key: u64, depth: u32, value: &V) {
        match self {
            Self::Empty => *self = Self::leaf(&[(key, value.clone())]),
            Self::Inner(children) => {
                Arc::make_mut(children)[place(key, depth)].insert(key, depth + 1, value);
            }
            Self::Leaf(leaf) => {
                let entries = &leaf.slice;
                if entries.len() < LEAF_MAX || depth * BITS >= u64::BITS {
                    let entry = |index: usize| match entries.get(index) {
                        Some(entry) => entry.clone(),
                        None => (key, value.clone()),
                    };
                    let all = (0..entries.len() + 1).map(entry);
                    *self = Self::Leaf(ThinArc::from_header_and_iter((), all));
                } else {
                    *self = Self::divided(entries, depth);
                    self.insert(key, depth, value);
                }
            }
        }
    }

    /// An inner node with what was in a leaf.
    fn divided(entries: &[(u64, V)], depth: u32) -> Self {
        let of_place = |wanted| {
            let entries = entries.iter().filter(|(key, _)| place(*key, depth) == wanted);
            Self::leaf(&entries.cloned().collect::<Vec<_>>())
        };
        Self::Inner(Arc::new(std::array::from_fn(of_place)))
    }

    /// Takes out the first value of a key that is meant, which is there.
    fn remove(&mut self, key: u64, depth: u32, is: &impl Fn(&V) -> bool) {
        match self {
            Self::Empty => {}
            Self::Inner(children) => {
                let children = Arc::make_mut(children);
                let child = &mut children[place(key, depth)];
                child.remove(key, depth + 1, is);
                if matches!(child, Self::Empty)
                    && let Some(joined) = Self::joined(children)
                {
                    *self = joined;
                }
            }
            Self::Leaf(leaf) => {
                let mut entries = leaf.slice.to_vec();
                if let Some(at) = entries.iter().position(|(one, value)| *one == key && is(value)) {
                    entries.remove(at);
                }
                *self = Self::leaf(&entries);
            }
        }
    }

    /// One leaf for all children, where they are leaves and few values are left in them.
    fn joined(children: &[Self; FANOUT]) -> Option<Self> {
        let mut entries = Vec::new();
        for child in children {
            match child {
                Self::Empty => {}
                Self::Inner(_) => return None,
                // A quarter of a leaf, so that a coming and a going do not divide and join it in turn.
                Self::Leaf(leaf) if entries.len() + leaf.slice.len() <= LEAF_MAX / 4 => {
                    entries.extend_from_slice(&leaf.slice);
                }
                Self::Leaf(_) => return None,
            }
        }
        Some(Self::leaf(&entries))
    }
}

/// The key with its bits mixed, so that the leading ones differ where any do; no two become one.
fn mix(key: u64) -> u64 {
    // 2^64 over the golden ratio; odd.
    let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

/// Where in an inner node at this depth a mixed key belongs.
fn place(key: u64, depth: u32) -> usize {
    let shifted = key.checked_shl(depth * BITS).unwrap_or_default();
    usize::try_from(shifted >> (u64::BITS - BITS)).unwrap_or_default()
}
