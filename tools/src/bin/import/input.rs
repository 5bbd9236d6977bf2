//! The file's bytes as text: which encoding it has, and what it is if it isn't text.
//!
//! The whole file is read once before anything else happens, so that no row is sent from a file that can't be read to its end.
//! A pipe, which can be read only once, is copied to an unnamed temporary file first.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{UTF_16BE, UTF_16LE};

use crate::{encoding::Encoding, options::Label, terminal::shortened};

const CHUNK: usize = 64 * 1024;
/// The permissions of the file of rejected rows if the input has no name: only the user can read it.
const PRIVATE: u32 = 0o600;

/// The first bytes of files that aren't CSV, and what they are.
const OTHER_FILES: [(&[u8], &str); 11] = [
    (
        b"PK\x03\x04",
        "an Excel, Numbers or LibreOffice workbook (or another zip file): save it as CSV",
    ),
    (
        b"PK\x05\x06",
        "an Excel, Numbers or LibreOffice workbook (or another zip file): save it as CSV",
    ),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook: save it as CSV"),
    (b"\xff\xfe\0\0", "UTF-32 text: save it as CSV in UTF-8"),
    (b"\0\0\xfe\xff", "UTF-32 text: save it as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed: unpack it first"),
    (b"%PDF", "a PDF document: export the contacts as CSV"),
    (b"<", "HTML or XML: export the contacts as CSV"),
    (b"{", "JSON or RTF: export the contacts as CSV"),
    (b"BEGIN:VCARD", "a vCard file: export the contacts as CSV"),
    (b"SQLite format 3", "a database: export the contacts as CSV"),
];

/// A file that is text in a known encoding.
pub struct Input {
    path: PathBuf,
    file: File,
    /// Its permissions, which the file of rejected rows gets too.
    pub mode: u32,
    /// Whether it is a regular file, not a pipe.
    pub is_regular: bool,
    /// Its encoding.
    pub encoding: Encoding,
    byte_order_mark: u64,
    how: &'static str,
}

impl Input {
    /// Opens a file and detects its encoding.
    ///
    /// # Errors
    ///
    /// A message, if it can't be read or isn't a file that can be imported.
    pub fn open(path: &Path, label: Option<&Label>) -> Result<Self, String> {
        let unreadable = |error: io::Error| format!("{} can't be read: {error}.", shown(path));
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(format!("{} is a folder, not a CSV file.", shown(path)));
        }
        let mut input = Self {
            path: path.to_owned(),
            is_regular: metadata.is_file(),
            mode: if metadata.is_file() {
                metadata.permissions().mode() & 0o666
            } else {
                PRIVATE
            },
            file: if metadata.is_file() {
                file
            } else {
                copied(file).map_err(unreadable)?
            },
            encoding: Encoding::UTF_8,
            byte_order_mark: 0,
            how: "",
        };
        input.recognise(label)?;
        Ok(input)
    }

    /// The file's name for people.
    pub fn shown(&self) -> String {
        shown(&self.path)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The encoding as shown to people, and how it was detected.
    pub fn encoding_shown(&self) -> String {
        format!("{}{}", self.encoding.name(), self.how)
    }

    /// Whether it began with a byte order mark.
    pub fn has_byte_order_mark(&self) -> bool {
        self.byte_order_mark > 0
    }

    /// The text from its beginning, as UTF-8. Single bytes that are not valid UTF-8 are left unchanged.
    pub fn text(&self) -> io::Result<Box<dyn Read + '_>> {
        (&self.file).seek(SeekFrom::Start(self.byte_order_mark))?;
        Ok(if self.encoding.is_utf_8() {
            Box::new(&self.file)
        } else {
            self.encoding.reader(&self.file)
        })
    }

    fn recognise(&mut self, label: Option<&Label>) -> Result<(), String> {
        let path = self.path.clone();
        let unreadable = |error: io::Error| format!("{} can't be read: {error}.", shown(&path));
        let mut head = Vec::new();
        (&self.file).seek(SeekFrom::Start(0)).map_err(unreadable)?;
        (&self.file)
            .take(CHUNK as u64)
            .read_to_end(&mut head)
            .map_err(unreadable)?;
        let byte_order_mark = encoding_rs::Encoding::for_bom(&head);
        let text = head[byte_order_mark.map_or(0, |(_, length)| length)..].trim_ascii_start();
        if text.is_empty() {
            return Err(format!("{} is empty.", shown(&path)));
        }
        for (beginning, what) in OTHER_FILES {
            // Text formats may have white space in front of them. Binary formats are recognised by the very first bytes.
            if head.starts_with(beginning) || text.starts_with(beginning) {
                return Err(format!("{} is {what}.", shown(&path)));
            }
        }
        if let Some((encoding, length)) = byte_order_mark {
            (self.encoding, self.byte_order_mark) = (Encoding::Web(encoding), length as u64);
            self.how = " (it has a byte order mark)";
        } else if let Some(Label { encoding, .. }) = label {
            (self.encoding, self.how) = (*encoding, " (as --encoding says)");
        } else if let Some(encoding) = utf_16(&head) {
            (self.encoding, self.how) = (Encoding::Web(encoding), " (recognised)");
        } else {
            self.check_utf_8().map_err(unreadable)??;
        }
        Ok(())
    }

    /// Refuses a file that is not UTF-8 and names the encoding that it probably has, because a wrong guess would store wrong
    /// names. If only a few places of a file are not UTF-8, only the rows with those places are rejected.
    fn check_utf_8(&self) -> io::Result<Result<(), String>> {
        let census = Census::of(&self.file)?;
        if census.invalid == 0 || census.valid > census.invalid {
            return Ok(Ok(()));
        }
        (&self.file).seek(SeekFrom::Start(0))?;
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        let mut sample = Vec::new();
        let mut chunks = BufReader::with_capacity(CHUNK, &self.file);
        loop {
            let chunk = chunks.fill_buf()?;
            let length = chunk.len();
            if length == 0 {
                break;
            }
            detector.feed(chunk, false);
            let lines = chunk
                .split_inclusive(|&byte| byte == b'\n')
                .filter(|line| !line.is_ascii());
            sample.extend(lines.flatten().take(CHUNK.saturating_sub(sample.len())));
            chunks.consume(length);
        }
        detector.feed(&[], true);
        let detected = detector.guess(None, Utf8Detection::Deny);
        let likely = Encoding::likeliest(&sample, detected).name();
        Ok(Err(format!(
            "{} is not UTF-8: the first such line is {}. It is probably {likely}; look at it with --dry-run --encoding \
             {likely}, and import it with --encoding {likely} if the names are right.",
            self.shown(),
            census.line
        )))
    }
}

/// How much of a file's text outside ASCII is UTF-8.
#[derive(Default)]
struct Census {
    valid: u64,
    invalid: u64,
    /// Where the first invalid sequence is.
    line: u64,
}

impl Census {
    fn of(mut file: &File) -> io::Result<Self> {
        file.seek(SeekFrom::Start(0))?;
        let mut census = Self::default();
        let mut line = 1;
        let mut buffer = Vec::with_capacity(CHUNK + 4);
        loop {
            let read = file.take(CHUNK as u64).read_to_end(&mut buffer)?;
            // The end of a chunk may cut a character. It is complete with the next chunk.
            let cut = if read == 0 { 0 } else { cut_character(&buffer) };
            let end = buffer.len() - cut;
            for chunk in buffer[..end].utf8_chunks() {
                census.valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count() as u64;
                line += chunk.valid().bytes().filter(|&byte| byte == b'\n').count() as u64;
                if !chunk.invalid().is_empty() {
                    if census.invalid == 0 {
                        census.line = line;
                    }
                    census.invalid += 1;
                }
            }
            if read == 0 {
                return Ok(census);
            }
            buffer.drain(..end);
        }
    }
}

/// How many bytes at the end belong to an incomplete character.
fn cut_character(bytes: &[u8]) -> usize {
    (1..=3.min(bytes.len()))
        .find(|&length| {
            let tail = &bytes[bytes.len() - length..];
            matches!(str::from_utf8(tail), Err(error) if error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .unwrap_or(0)
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

fn copied(mut pipe: File) -> io::Result<File> {
    let mut copy = tempfile::tempfile()?;
    io::copy(&mut pipe, &mut copy)?;
    Ok(copy)
}

fn shown(path: &Path) -> String {
    shortened(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_is_cut_is_left_for_the_next_chunk() {
        for (bytes, cut) in [
            (&b"abc"[..], 0),
            ("aé".as_bytes(), 0),
            (b"a\xc3", 1),
            (b"a\xe2\x82", 2),
            (b"\xf0\x9f\x98", 3),
            (b"a\xff", 0),
            (b"", 0),
        ] {
            assert_eq!(cut_character(bytes), cut, "{bytes:?}");
        }
    }

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
        let mut text = vec![b'a'; CHUNK - 1];
        text.extend_from_slice("é".as_bytes());
        assert_eq!(opened(&text), Ok(()));
        let mut text = b"name\n".repeat(CHUNK);
        text.extend_from_slice(b"Jos\xe9\n");
        let refused = opened(&text).unwrap_err();
        assert!(
            refused.contains(&format!("the first such line is {}.", CHUNK + 1)),
            "{refused}"
        );
    }
}
