//! Conversations as event streams: what the tracker makes of them and how the model judges them. No kernel needed.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the message")]

mod crowd;
mod damage;
mod detection;
mod faults;
mod forged;
mod gaps;
mod handshakes;
mod host;
mod lives;
mod losses;
mod minisockets;
mod recordings;
mod refresh;
mod rows;
mod tape;
mod watch;
