//! The encodings that a file may have: those of the web, Mac OS Roman among them, and two code pages of DOS.

use std::io::{self, BufRead as _, BufReader, Cursor, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{MACINTOSH, UTF_8, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;
use yore::{
    CodePage,
    code_pages::{CP437, CP850},
};

use crate::misread::between_others;

/// An encoding.
#[derive(Clone, Copy)]
pub enum Encoding {
    /// One of the Encoding Standard's.
    Web(&'static encoding_rs::Encoding),
    /// A code page of DOS.
    Dos(&'static str, &'static (dyn CodePage + Sync)),
}

const DOS: [Encoding; 2] = [Encoding::Dos("cp850", &CP850), Encoding::Dos("cp437", &CP437)];
/// Not letters, or letters that no name has.
const NO_LETTERS: &str = "Ÿƒˆªºµⁿ";

impl Encoding {
    /// UTF-8, which most files have.
    pub const UTF_8: Self = Self::Web(UTF_8);

    /// The encoding with this name.
    pub fn for_label(label: &str) -> Option<Self> {
        let page = label.to_ascii_lowercase().replace("ibm", "cp");
        let dos = DOS.into_iter().find(|encoding| encoding.name() == page);
        dos.or_else(|| encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()).map(Self::Web))
    }

    /// The name that `--encoding` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web(encoding) => encoding.name(),
            Self::Dos(name, _) => name,
        }
    }

    /// Whether this is UTF-8.
    pub fn is_utf_8(self) -> bool {
        matches!(self, Self::Web(encoding) if encoding == UTF_8)
    }

    /// Whether this is UTF-16.
    pub fn is_utf_16(self) -> bool {
        matches!(self, Self::Web(encoding) if [UTF_16LE, UTF_16BE].contains(&encoding))
    }

    /// The text of these bytes, as UTF-8.
    pub fn reader<'a>(self, bytes: impl Read + 'a) -> Box<dyn Read + 'a> {
        match self {
            Self::Web(encoding) => {
                let mut builder = DecodeReaderBytesBuilder::new();
                Box::new(builder.encoding(Some(encoding)).bom_sniffing(false).build(bytes))
            }
            Self::Dos(_, page) => Box::new(DosText {
                bytes: BufReader::new(bytes),
                page,
                text: Cursor::default(),
            }),
        }
    }

    /// A text in this encoding; UTF-16 becomes UTF-8.
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Web(encoding) => encoding.encode(text).0.into_owned(),
            Self::Dos(_, page) => page.encode_lossy(text, b'?').into_owned(),
        }
    }

    /// Which encoding these bytes probably have: the one that a browser would choose, or one whose text looks more like names.
    pub fn guess(bytes: &[u8]) -> Self {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        let detected = Self::Web(detector.guess(None, Utf8Detection::Deny));
        let candidates = [detected, Self::Web(MACINTOSH)].into_iter().chain(DOS);
        let oddities = |encoding: &Self| {
            let mut text = String::new();
            // Reading from memory doesn't fail.
            let _ = encoding.reader(bytes).read_to_string(&mut text);
            between_others(&text).filter(is_odd).count()
        };
        candidates.min_by_key(oddities).unwrap_or(detected)
    }
}

/// Whether a character outside ASCII isn't where names have one.
fn is_odd(&[before, c, after]: &[char; 3]) -> bool {
    let is_of_another_script = c > '\u{24f}';
    match c {
        _ if c.is_ascii() => false,
        '’' | '–' => before.is_lowercase() && after.is_lowercase(),
        _ if !c.is_alphabetic() || NO_LETTERS.contains(c) => true,
        _ => {
            c.is_uppercase() && before.is_lowercase()
                || c.is_lowercase() && (after.is_uppercase() || !before.is_alphabetic())
                || is_of_another_script && (before.is_ascii_alphabetic() || after.is_ascii_alphabetic())
        }
    }
}

/// Text in a code page of DOS, as UTF-8.
struct DosText<R> {
    bytes: BufReader<R>,
    page: &'static (dyn CodePage + Sync),
    text: Cursor<Vec<u8>>,
}

impl<R: Read> Read for DosText<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.text.fill_buf()?.is_empty() {
            let bytes = self.bytes.fill_buf()?;
            let length = bytes.len();
            self.text = Cursor::new(self.page.decode_lossy(bytes).into_owned().into_bytes());
            self.bytes.consume(length);
        }
        self.text.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_has_several_names() {
        for (label, name) in [
            ("latin1", Some("windows-1252")),
            ("macintosh", Some("macintosh")),
            ("CP850", Some("cp850")),
            ("ibm437", Some("cp437")),
            ("cp866", Some("IBM866")),
            ("latin", None),
        ] {
            assert_eq!(Encoding::for_label(label).map(Encoding::name), name, "{label}");
        }
    }

    #[test]
    fn the_likeliest_encoding_is_the_one_that_gives_names() {
        for names in [
            "José García\nJörg Müller\nFrançois Côté\n",
            "Åse Kærgaard\nBjörn Öhman\nPär Åström\n",
            "MÜLLER\nJosé O'Brien\n",
            "Käthe Groß\nGünter Jäger\nSören Weiß\n",
        ] {
            for label in ["windows-1252", "macintosh", "cp850", "cp437"] {
                let encoding = Encoding::for_label(label).unwrap();
                let bytes = encoding.encode(names);
                // The two code pages of DOS have most letters in the same places.
                let likely = Encoding::guess(&bytes).encode(names);
                assert_eq!(likely, bytes, "{label}: {names}");
            }
        }
    }

    #[test]
    fn dos_text_is_read_and_written() {
        let cp437 = Encoding::for_label("cp437").unwrap();
        let long = "Jörg Müller\n".repeat(2_000);
        let mut text = String::new();
        cp437
            .reader(cp437.encode(&long).as_slice())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, long);
    }
}
