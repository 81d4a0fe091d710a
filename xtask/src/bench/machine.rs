//! Where and when it was measured.

use std::{fs, process::Command, thread};

use crate::command;

/// This machine, as far as the figures depend on it.
#[derive(Clone, Debug)]
pub struct Machine {
    pub processor: String,
    pub processors: usize,
    pub memory_gib: u64,
    pub kernel: String,
    /// Day, UTC.
    pub date: String,
    /// Processes that wanted to run in the last minute before it began: others' work is noise.
    pub load: String,
}

impl Machine {
    pub fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let first_word = |text: &str| text.split_ascii_whitespace().next().unwrap_or("unknown").to_owned();
        let memory = field(&read("/proc/meminfo"), "MemTotal")
            .map_or(0, |kib| first_word(&kib).parse::<u64>().unwrap_or(0).div_ceil(1 << 20));
        let date = command::output(Command::new("date").args(["-u", "+%Y-%m-%d"])).unwrap_or_default();
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name")
                .unwrap_or_else(|| "unknown processor".to_owned()),
            processors: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            date: date.trim().to_owned(),
            load: first_word(&read("/proc/loadavg")),
        }
    }

    pub fn sentence(&self) -> String {
        let Self { processor, processors, memory_gib, kernel, date, load } = self;
        format!(
            "{date}, Linux {kernel}, {processors} processors ({processor}), {memory_gib} GiB; load average before it began: {load}"
        )
    }
}

/// The value after `name:`.
fn field(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nMemTotal:       24000000 kB\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Some CPU @ 2 GHz"));
        assert_eq!(field(text, "MemTotal").as_deref(), Some("24000000 kB"));
        assert_eq!(field(text, "flags"), None);
    }
}
