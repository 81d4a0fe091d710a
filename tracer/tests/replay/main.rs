//! Conversations as event streams: what the tracker makes of them and how the model judges them. No kernel needed.

mod crowd;
mod damage;
mod faults;
mod gaps;
mod handshakes;
mod host;
mod lives;
mod minisockets;
mod watch;
