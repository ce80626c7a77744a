//! Websockets as the base specification of R4 has them: `bind [id]`, `bound [id]`, `ping [id]`
//! (RQ-SB-02, docs/classic.md).
//!
//! It has no tokens, so that whoever opened the socket must be known by the request that opened it.

use bytes::Bytes;
use cresset_engine::FrameKind;
use cresset_model::{ChannelType, ResourceId};
use jiff::Timestamp;

use super::Socket;
use crate::bases::base_of;
use crate::caller::{Right, TokenHash};
use crate::live::LiveSubscription;

impl Socket {
    /// Binds a subscription with a search as its criteria; the text of an error is for the client.
    pub(super) fn bind_by_id(&mut self, id: &ResourceId) -> Result<(), String> {
        let unknown = || {
            "there is no active subscription of this id that can be bound without a token"
                .to_owned()
        };
        let (Some(version), Some(caller)) = (self.version, &self.caller) else {
            return Err(unknown());
        };
        caller.require(Right::Subscribe).map_err(|_| unknown())?;
        let live = self.shared.live.find(base_of(version), id);
        let live = live.filter(|live| caller.sees(&live.owner)).ok_or_else(unknown)?;
        let can_be_bound = {
            let state = live.state();
            let settings = &state.settings;
            state.is_active()
                && settings.is_classic()
                && settings.channel_type == ChannelType::Websocket
        };
        if !can_be_bound {
            return Err(unknown());
        }
        self.pinged.insert(live.key);
        // What stands for a token that there is none of, and that does not expire.
        let token = TokenHash::of(id.as_str()).id();
        self.bind_one(&live, token, Timestamp::MAX)?;
        self.is_bound();
        Ok(())
    }

    /// The frame of a subscription that was bound by its id.
    pub(super) fn ping(live: &LiveSubscription, kind: FrameKind) -> Bytes {
        let word = match kind {
            FrameKind::Handshake => "bound",
            FrameKind::Events { .. } | FrameKind::Heartbeat => "ping",
        };
        Bytes::from(format!("{word} {}", live.id))
    }
}
