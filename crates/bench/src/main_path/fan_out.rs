//! W: what a frame costs a bare broadcaster.

use std::time::Instant;

use anyhow::ensure;
use futures_util::future::try_join_all;

use super::Settings;
use crate::baseline::Server;
use crate::baseline::bare_path::WEBSOCKET_PATH;
use crate::http::Connection;
use crate::notification::Kind as Frame;
use crate::observation::{create_request, patient};
use crate::report::FanOut;
use crate::socket::EventSocket;
use crate::statistics::{Samples, per, rate};
use crate::target::{Kind, Target};

/// Posts again and again, each time waiting for the frame on every socket.
pub(super) async fn run(settings: &Settings) -> anyhow::Result<FanOut> {
    let directory = settings.directory()?;
    let target = Target::start(&Kind::Baseline(Server::Broadcaster), directory.path()).await?;
    let url = format!("ws://{}{WEBSOCKET_PATH}", target.address);
    let mut sockets = Vec::new();
    for _ in 0..settings.fan_out {
        let mut socket = EventSocket::open(target.address, &url).await?;
        socket.handshake().await?;
        sockets.push(socket);
    }
    let mut connection = Connection::open(target.address).await?;
    let request = create_request(&target.host(), &patient(0));
    let (mut frames, mut last_frame) = (0, Samples::default());
    let (started, before) = (Instant::now(), target.process.cpu());
    let length = settings.length.mul_f64(2.0);
    while started.elapsed() < length {
        let sent = Instant::now();
        ensure!(connection.exchange(&request).await?.status == 201, "W refused a POST");
        let read = try_join_all(sockets.iter_mut().map(EventSocket::next)).await?;
        ensure!(read.iter().all(|(_, frame)| frame.kind == Frame::Event), "W sent another frame");
        frames += read.len() as u64;
        last_frame.push(sent.elapsed());
    }
    let (elapsed, cpu) = (started.elapsed(), target.process.cpu().since(&before));
    Ok(FanOut {
        sockets: sockets.len(),
        frames,
        frames_per_second: rate(frames, elapsed),
        server_cpu_per_frame_us: per(cpu.as_secs_f64() * 1e6, frames),
        last_frame: last_frame.latency(),
    })
}
