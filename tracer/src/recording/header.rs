//! What a recording says of itself: where it comes from, what it could see, and how its records are laid out.

use serde::{Deserialize, Serialize};
use tracer_ebpf::{FIELDS, Hook, MISSING};

use super::{FORMAT, HEADER_LIMIT, MAGIC, PREAMBLE, layout::Layout};
use crate::{
    anchor::Anchor,
    decode::Kernel,
    kernel::load::Attached,
    tracker::{Hooks, Limits},
};

/// The header of one part. All parts of a stream have the same, but for `part`, `first_frame` and `begun`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the agent that recorded.
    pub agent: String,
    /// Names the stream: parts of one stream belong together.
    pub stream: String,
    /// Number of the part in its stream, from 0.
    pub part: u64,
    /// Number of its first frame: frames are numbered through all parts.
    pub first_frame: u64,
    /// When it was begun.
    pub begun: Anchor,
    /// The clock of the records.
    pub clock: String,
    /// The kernel that was watched.
    pub kernel: KernelFacts,
    /// Every hook, attached or not.
    pub hooks: Vec<HookFacts>,
    /// Sockets that were tracked at most.
    pub max_sockets: usize,
    /// Which sockets were recorded; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
    /// How records are laid out.
    pub records: Layout,
}

/// A kernel, as far as records depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelFacts {
    /// `uname -r`.
    pub release: String,
    /// `uname -m`.
    pub machine: String,
    /// False: sockets are named by their address.
    pub has_cookies: bool,
    /// Why late FINs are not looked for; absent: they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep_problem: Option<String>,
    /// `enum sk_rst_reason`: number and name.
    pub reset_reasons: Vec<(u32, String)>,
    /// The kernel's fields behind the records' and where they were found.
    pub fields: Vec<FieldFacts>,
}

/// A field of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFacts {
    /// For example `tcp_sock.snd_una`.
    pub name: String,
    /// Bytes before it in its struct; absent: this kernel has no such field, and records have 0 there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u32>,
}

/// A hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookFacts {
    /// The number in records.
    pub number: u8,
    /// The kernel's name of the tracepoint.
    pub name: String,
    /// Copies of its handler; 0: it was not attached.
    pub copies: u32,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Header {
    /// The header of the first part.
    #[must_use]
    pub fn new(attached: &Attached, limits: Limits, selection: Option<String>) -> Self {
        let uname = rustix::system::uname();
        let begun = Anchor::now();
        let fields = FIELDS.iter().zip(&attached.offsets).map(|((_, source), offset)| FieldFacts {
            name: format!("{}.{}", source.container, source.path),
            offset: (*offset != MISSING).then_some(*offset),
        });
        let hooks = attached.hooks.iter().map(|status| HookFacts {
            number: status.hook as u8,
            name: status.hook.name().to_owned(),
            copies: status.copies,
            problem: status.problem.clone(),
        });
        Self {
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            stream: format!("{:x}-{:x}-{:x}", begun.wall_ns, begun.monotonic_ns, std::process::id()),
            part: 0,
            first_frame: 0,
            begun,
            clock: "CLOCK_MONOTONIC".to_owned(),
            kernel: KernelFacts {
                release: uname.release().to_string_lossy().into_owned(),
                machine: uname.machine().to_string_lossy().into_owned(),
                has_cookies: attached.has_cookies,
                sweep_problem: attached.sweep.as_ref().err().cloned(),
                reset_reasons: attached.kernel.reset_reasons.clone(),
                fields: fields.collect(),
            },
            hooks: hooks.collect(),
            max_sockets: limits.sockets,
            selection,
            records: Layout::own(),
        }
    }

    /// Header and all that comes before it, as they stand in a file.
    ///
    /// # Errors
    ///
    /// None that is known: it is text and numbers.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(PREAMBLE + json.len());
        bytes.extend(MAGIC);
        for word in [FORMAT, length, crc32fast::hash(&json)] {
            bytes.extend(word.to_le_bytes());
        }
        debug_assert!(length <= HEADER_LIMIT);
        bytes.extend(json);
        Ok(bytes)
    }

    /// What the decoder has to know.
    #[must_use]
    pub fn decoder(&self) -> Kernel {
        Kernel { reset_reasons: self.kernel.reset_reasons.clone() }
    }

    /// The tracker's memory.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        Limits { sockets: self.max_sockets }
    }

    /// The hooks that delivered.
    #[must_use]
    pub fn visible(&self) -> Hooks {
        self.hooks
            .iter()
            .filter(|hook| hook.copies > 0)
            .filter_map(|hook| Hook::from_u8(hook.number))
            .collect()
    }
}
