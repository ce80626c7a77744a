//! The node as a whole, over the memory store: what is decided, what becomes visible, what
//! happens when the store fails.

mod events;
mod faults;
mod fixture;
mod sockets;
mod topics;
