//! The guest's files, as the archive that the kernel unpacks into memory: cpio in the "newc" format
//! (Documentation/driver-api/early-userspace/buffer-format.rst). Uncompressed: unpacking under emulation costs more than
//! copying.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Component, Path, PathBuf},
};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive in the making.
#[derive(Debug, Default)]
pub struct Initramfs {
    bytes: Vec<u8>,
    folders: BTreeSet<PathBuf>,
    entries: u32,
}

impl Initramfs {
    /// Adds an empty folder, and those above it.
    pub fn folder(&mut self, path: impl AsRef<Path>) {
        let path = relative(path.as_ref());
        let above: Vec<_> = path.ancestors().filter(|folder| *folder != Path::new("")).collect();
        for folder in above.into_iter().rev() {
            if self.folders.insert(folder.to_path_buf()) {
                self.entry(folder, FOLDER, &[]);
            }
        }
    }

    /// Adds a file that can be executed.
    pub fn file(&mut self, path: impl AsRef<Path>, contents: &[u8]) {
        let path = relative(path.as_ref());
        self.folder(path.parent().unwrap_or(Path::new("")));
        self.entry(&path, PROGRAM, contents);
    }

    /// Adds a copy of a file of this machine.
    pub fn copy(&mut self, from: &Path, path: impl AsRef<Path>) -> io::Result<()> {
        self.file(path, &fs::read(from)?);
        Ok(())
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: impl AsRef<Path>, target: &str) {
        let path = relative(path.as_ref());
        self.folder(path.parent().unwrap_or(Path::new("")));
        self.entry(&path, LINK, target.as_bytes());
    }

    /// The whole archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(Path::new("TRAILER!!!"), 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &Path, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let name = path.as_os_str().as_encoded_bytes();
        let size = u32::try_from(contents.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), size of the name, checksum
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend(b"070701");
        self.bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        self.bytes.extend(name);
        self.bytes.push(0);
        self.align();
        self.bytes.extend(contents);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Names in the archive begin at its top.
fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and modes, by the format's own rules.
    fn entries(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        loop {
            let text = std::str::from_utf8(&bytes[..110]).unwrap();
            assert_eq!(&text[..6], "070701");
            let field = |n: usize| usize::from_str_radix(&text[6 + 8 * n..14 + 8 * n], 16).unwrap();
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            let contents = (110 + name_size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                assert_eq!(bytes.len(), contents);
                return found;
            }
            found.push((name, u32::try_from(mode).unwrap(), bytes[contents..contents + size].to_vec()));
            bytes = &bytes[(contents + size).next_multiple_of(4)..];
        }
    }

    #[test]
    fn a_file_brings_its_folders_once() {
        let mut archive = Initramfs::default();
        archive.file("/usr/bin/a", b"one");
        archive.file("usr/bin/b", b"three");
        archive.link("bin", "usr/bin");
        let found = entries(&archive.finish());
        let names: Vec<_> = found.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
        assert_eq!(
            names,
            [
                ("usr", FOLDER),
                ("usr/bin", FOLDER),
                ("usr/bin/a", PROGRAM),
                ("usr/bin/b", PROGRAM),
                ("bin", LINK)
            ]
        );
        assert_eq!(found[3].2, b"three");
        assert_eq!(found[4].2, b"usr/bin");
    }
}
