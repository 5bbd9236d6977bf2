//! The file's bytes as text: which encoding it has, and what it is if it isn't text.
//!
//! The whole file is read once before anything else happens, so that no row is sent from a file that can't be read to its end.
//! A pipe, which can be read only once, is copied to an unnamed temporary file first.

use std::{
    fs::File,
    io::{self, Read, Seek as _, SeekFrom},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use encoding_rs::{UTF_16BE, UTF_16LE};

use crate::{encoding::Encoding, terminal::shown};

const CHUNK: usize = 64 * 1024;
/// The permissions of the file of rejected rows if the input has no name: only the user can read it.
const PRIVATE: u32 = 0o600;

/// The first bytes of files that aren't CSV, and what they are.
const OTHER_FILES: [(&[u8], &str); 9] = [
    (
        b"PK\x03\x04",
        "an Excel, Numbers or LibreOffice workbook (or another zip file): save it as CSV",
    ),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook: save it as CSV"),
    (b"\xff\xfe\0\0", "UTF-32 text: save it as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed: unpack it first"),
    (b"%PDF", "a PDF document: export the contacts as CSV"),
    (b"<", "HTML or XML: export the contacts as CSV"),
    (b"{", "JSON or RTF: export the contacts as CSV"),
    (b"BEGIN:VCARD", "a vCard file: export the contacts as CSV"),
    (b"SQLite format 3", "a database: export the contacts as CSV"),
];

/// A file that is text in a known encoding.
pub struct Input {
    /// The name as shown to people.
    pub shown: String,
    /// What the name of the file of rejected rows begins with: the path, or for a pipe a name in the current folder.
    pub base: PathBuf,
    /// Whether it is a regular file, not a pipe.
    pub is_regular: bool,
    /// Its permissions, which the file of rejected rows gets too.
    pub mode: u32,
    /// Its encoding.
    pub encoding: Encoding,
    /// The length of its byte order mark.
    pub byte_order_mark: u64,
    /// The encoding as shown to people, and how it was detected.
    pub encoding_shown: String,
    file: File,
}

impl Input {
    /// Opens a file and detects its encoding.
    ///
    /// # Errors
    ///
    /// A message, if it can't be read or isn't a file that can be imported.
    pub fn open(path: &Path, encoding: Option<Encoding>) -> Result<Self, String> {
        let shown = shown(path);
        let unreadable = |error| format!("{shown} can't be read: {error}.");
        let mut file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(format!("{shown} is a folder, not a CSV file."));
        }
        let (mut base, mut mode) = (path.to_owned(), metadata.permissions().mode() & 0o666);
        if !metadata.is_file() {
            let mut copy = tempfile::tempfile().map_err(unreadable)?;
            io::copy(&mut file, &mut copy).map_err(unreadable)?;
            (file, base, mode) = (copy, "import".into(), PRIVATE);
        }
        let mut head = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let start = (&file).take(CHUNK as u64).read_to_end(&mut head);
        start.map_err(unreadable)?;
        let marked = encoding_rs::Encoding::for_bom(&head);
        let byte_order_mark = marked.map_or(0, |(_, length)| length);
        let text = head[byte_order_mark..].trim_ascii_start();
        if text.is_empty() {
            return Err(format!("{shown} is empty."));
        }
        // Text formats may have white space in front of them. Binary formats are recognised by the very first bytes.
        let is_other = |(beginning, _): &&(&[u8], &str)| head.starts_with(beginning) || text.starts_with(beginning);
        if let Some((_, what)) = OTHER_FILES.iter().find(is_other) {
            return Err(format!("{shown} is {what}."));
        }
        let (encoding, how) = match (marked, encoding, utf_16(&head)) {
            (Some((marked, _)), ..) => (Encoding::Web(marked), " (it has a byte order mark)"),
            (_, Some(encoding), _) => (encoding, " (as --encoding says)"),
            (_, _, Some(recognised)) => (Encoding::Web(recognised), " (recognised)"),
            _ => (Encoding::UTF_8, ""),
        };
        if how.is_empty()
            && let Some(reason) = check_utf_8(&file).map_err(unreadable)?
        {
            return Err(format!("{shown} {reason}"));
        }
        Ok(Self {
            shown,
            base,
            is_regular: metadata.is_file(),
            mode,
            encoding,
            byte_order_mark: byte_order_mark as u64,
            encoding_shown: format!("{}{how}", encoding.name()),
            file,
        })
    }

    /// The text from its beginning, as UTF-8. Single bytes that are not valid UTF-8 are left unchanged.
    ///
    /// # Errors
    ///
    /// A message, if the file can't be read.
    pub fn text(&self) -> Result<Box<dyn Read + '_>, String> {
        let start = (&self.file).seek(SeekFrom::Start(self.byte_order_mark));
        start.map_err(|error| format!("{} can't be read: {error}.", self.shown))?;
        Ok(if self.encoding.is_utf_8() {
            Box::new(&self.file)
        } else {
            self.encoding.reader(&self.file)
        })
    }
}

/// Refuses a file that is not UTF-8 and names the encoding that it probably has, because a wrong guess would store wrong
/// names. If only a few places of a file are not UTF-8, only the rows with those places are rejected.
fn check_utf_8(mut file: &File) -> io::Result<Option<String>> {
    file.seek(SeekFrom::Start(0))?;
    let (mut valid, mut invalid, mut line, mut first_line) = (0, 0, 1, 0);
    let (mut buffer, mut sample) = (Vec::with_capacity(CHUNK + 4), Vec::new());
    loop {
        let read = file.take(CHUNK as u64).read_to_end(&mut buffer)?;
        let mut end = 0;
        for chunk in buffer.utf8_chunks() {
            valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
            line += chunk.valid().matches('\n').count();
            end += chunk.valid().len();
            // The end of what was read may cut a character. It is complete with what comes next.
            if end + chunk.invalid().len() == buffer.len() && read > 0 {
                break;
            }
            if !chunk.invalid().is_empty() {
                first_line = if invalid == 0 { line } else { first_line };
                invalid += 1;
            }
            end += chunk.invalid().len();
        }
        let lines = buffer[..end].split_inclusive(|&byte| byte == b'\n');
        let lines = lines.filter(|line| !line.is_ascii());
        sample.extend(lines.flatten().take(CHUNK.saturating_sub(sample.len())));
        buffer.drain(..end);
        if read == 0 {
            break;
        }
    }
    if invalid == 0 || valid > invalid {
        return Ok(None);
    }
    let likely = Encoding::guess(&sample).name();
    Ok(Some(format!(
        "is not UTF-8: the first such line is {first_line}. It is probably {likely}; look at it with --dry-run --encoding \
         {likely}, and import it with --encoding {likely} if the names are right."
    )))
}

/// UTF-16 without a byte order mark: separators, addresses and line ends are ASCII, whose other byte is zero.
fn utf_16(head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let enough = head.len() / 8;
    if odd > enough && even * 8 < odd {
        Some(UTF_16LE)
    } else if even > enough && odd * 8 < even {
        Some(UTF_16BE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_16_is_recognised_without_a_byte_order_mark() {
        let bytes = |text: &str, of: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(of).collect::<Vec<u8>>();
        for text in [
            "name,email\nJosé,j@acme.de\n",
            "имя;email\nИван;ivan@acme.ru\nПётр;petr@acme.ru\n",
        ] {
            assert_eq!(utf_16(&bytes(text, u16::to_le_bytes)), Some(UTF_16LE));
            assert_eq!(utf_16(&bytes(text, u16::to_be_bytes)), Some(UTF_16BE));
            assert_eq!(utf_16(text.as_bytes()), None);
        }
    }

    #[test]
    fn utf_16_has_zeros_in_every_other_byte_and_in_hardly_any_of_the_rest() {
        for (even, odd, length, encoding) in [
            // Enough of them: more than an eighth of the bytes.
            (0, 1, 8, None),
            (0, 2, 8, Some(UTF_16LE)),
            (0, 1, 32, None),
            // Few of the others: less than an eighth of the first.
            (1, 8, 32, None),
            (2, 12, 32, None),
            (1, 9, 32, Some(UTF_16LE)),
            (32, 32, 64, None),
        ] {
            let bytes = |even: usize, odd: usize| {
                let is_zero = |index: usize| index / 2 < if index.is_multiple_of(2) { even } else { odd };
                (0..length)
                    .map(|index| if is_zero(index) { 0 } else { b'a' })
                    .collect::<Vec<u8>>()
            };
            assert_eq!(utf_16(&bytes(even, odd)), encoding, "{even} {odd} {length}");
            let other = encoding.map(|_| UTF_16BE);
            assert_eq!(utf_16(&bytes(odd, even)), other, "{odd} {even} {length}");
        }
    }

    /// What opening a file of these bytes says.
    fn opened(bytes: &[u8]) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("contacts.csv");
        std::fs::write(&path, bytes).unwrap();
        Input::open(&path, None).map(drop)
    }

    #[test]
    fn a_file_is_utf_8_if_most_of_what_is_not_ascii_is() {
        assert_eq!(opened(b"name\nJos\xc3\xa9\nJos\xc3\xa9\nJos\xe9\n"), Ok(()));
        let refused = opened(b"name\nJos\xc3\xa9\nJos\xe9\n").unwrap_err();
        assert!(refused.contains("the first such line is 3."), "{refused}");
    }

    #[test]
    fn the_encoding_that_a_file_probably_has_is_named() {
        for (text, encoding) in [
            ("имя;город\nИван Петров;Москва\n", encoding_rs::WINDOWS_1251),
            ("氏名,都市\n山田太郎,東京\n", encoding_rs::SHIFT_JIS),
        ] {
            let refused = opened(&encoding.encode(text).0).unwrap_err();
            let advice = format!("import it with --encoding {} if", encoding.name());
            assert!(refused.contains(&advice), "{refused}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_end_in_chunks_that_may_cut_a_character() {
        for before in 1..4 {
            for character in ["é", "山", "😀"] {
                let text = format!("{}{character}", "a".repeat(CHUNK - before));
                assert_eq!(opened(text.as_bytes()), Ok(()));
            }
        }
        let mut text = b"name\n".repeat(CHUNK);
        text.extend_from_slice(b"Jos\xe9\n");
        let refused = opened(&text).unwrap_err();
        assert!(
            refused.contains(&format!("the first such line is {}.", CHUNK + 1)),
            "{refused}"
        );
    }
}
