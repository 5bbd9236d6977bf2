//! Names that were read in a wrong encoding before they came into the file: `JosÃ©`, `Jos√©` and `Josй` for José.
//!
//! UTF-8 that was read in another encoding is recognised by doing it backwards: in that encoding, the word is UTF-8 again, of
//! letters that form a word. That doesn't happen by chance. Other mistakes leave signs where letters should be, or letters that no
//! word has side by side.

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, MACINTOSH, SHIFT_JIS, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253,
    WINDOWS_1254, WINDOWS_1257,
};
use icu_properties::{CodePointMapData, props::Script};

/// The encodings in which programs read text by mistake.
const SINGLE_BYTE: [&Encoding; 7] = [
    WINDOWS_1252,
    WINDOWS_1251,
    MACINTOSH,
    WINDOWS_1250,
    WINDOWS_1253,
    WINDOWS_1254,
    WINDOWS_1257,
];
const MULTI_BYTE: [&Encoding; 4] = [GBK, SHIFT_JIS, EUC_KR, BIG5];

/// Signs that no name has beside a letter: `W³adys³aw` for Władysław, `J÷rg` for Jörg.
const SIGNS: &str = "£¥€¤¢¦§¨¬¯±²³¹µ¶¸¡¼½¾×÷‰ƒˆ˜√∂∆∏∑∞∫≈≠≤≥◊ⁿ";
/// Signs that no name has between two letters: `J„ger` for Jäger.
const SIGNS_WITHIN: &str = "‚„†‡";
/// Signs that no name has between two letters of ASCII: `J”rg` for Jörg. Hebrew has them between letters.
const SIGNS_WITHIN_ASCII: &str = "“”";
/// What comes before a capital within a word: `Ó hÓgáin`, `McÉvoy`.
const BEFORE_CAPITALS: [&str; 15] = [
    "h", "n", "t", "o", "d", "l", "mc", "mac", "de", "di", "da", "du", "la", "le", "van",
];

/// Whether a name, or a word of it, was read in a wrong encoding.
pub fn is_misread(name: &str) -> bool {
    !name.is_ascii() && name.split(' ').any(is_misread_word)
}

fn is_misread_word(word: &str) -> bool {
    if word.is_ascii() {
        return false;
    }
    // UTF-8 has at least two bytes for each of its characters outside ASCII.
    let mut pairs = word.chars().zip(word.chars().skip(1));
    let may_be_utf_8 = pairs.any(|(one, next)| !one.is_ascii() && !next.is_ascii());
    let is_utf_8 = || is_utf_8_in(word, &SINGLE_BYTE, is_word) || is_utf_8_in(word, &MULTI_BYTE, is_east_asian);
    may_be_utf_8 && is_utf_8()
        || has_signs(word)
        || is_of_accents_alone(word)
        || has_capital_within(word)
        || mixes_scripts(word)
}

fn is_utf_8_in(word: &str, encodings: &[&'static Encoding], is_plausible: fn(&str) -> bool) -> bool {
    encodings.iter().any(|encoding| {
        let decoded = bytes(word, encoding).and_then(|bytes| String::from_utf8(bytes).ok());
        decoded.is_some_and(|decoded| is_plausible(&decoded) || is_misread(&decoded))
    })
}

/// A word in an encoding. Bytes that the encoding doesn't define are read as windows-1252's or as control characters by some
/// programs.
fn bytes(word: &str, encoding: &'static Encoding) -> Option<Vec<u8>> {
    let in_one = |c: char| {
        let text = c.to_string();
        let mut encoded = [encoding, WINDOWS_1252]
            .map(|encoding| encoding.encode(&text))
            .into_iter();
        encoded.find_map(|(bytes, _, is_lossy)| (!is_lossy).then(|| bytes.into_owned()))
    };
    let bytes = word.chars().map(|c| match u8::try_from(c) {
        Ok(control @ 0x80..=0x9f) => Some(vec![control]),
        _ => in_one(c),
    });
    Some(bytes.collect::<Option<Vec<_>>>()?.concat())
}

/// Whether a decoded text is a word: of Latin letters beside ASCII, or of at least two letters of one other script. One
/// letter is a word in East Asia only.
fn is_word(text: &str) -> bool {
    let others: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
    if text.contains(|c: char| c.is_ascii_alphabetic()) {
        let shouts = text.chars().filter(char::is_ascii_uppercase).count() > 1
            && !text.contains(|c: char| c.is_ascii_lowercase());
        let is_right = |&c: &char| is_latin(c) && !(shouts && c.is_lowercase() && c != 'ß');
        return others.iter().all(is_right);
    }
    let one = others.first().and_then(|&c| script(c));
    one.is_some() && (others.len() > 1 || one == Some(Script::Han)) && others.iter().all(|&c| script(c) == one)
}

fn is_east_asian(text: &str) -> bool {
    let others: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
    others.len() > 1 && others.iter().all(|&c| script(c) == Some(Script::Han))
}

/// Latin letters of today's languages, and the punctuation of names.
fn is_latin(c: char) -> bool {
    matches!(c, 'À'..='ſ' | 'Ə' | 'ə' | 'Ơ' | 'ơ' | 'Ư' | 'ư' | 'Ǎ'..='ǜ' | 'Ș'..='ț' | 'Ḁ'..='ỹ')
        && !matches!(c, '×' | '÷')
        || "\u{a0}\u{ad}´·ªº‘’“”–—…".contains(c)
}

/// The script of a letter that isn't Latin. East Asia's are one.
fn script(c: char) -> Option<Script> {
    match CodePointMapData::<Script>::new().get(c) {
        Script::Latin | Script::Common | Script::Inherited | Script::Unknown => None,
        Script::Hiragana | Script::Katakana | Script::Hangul => Some(Script::Han),
        script => Some(script),
    }
}

/// A text's characters, each with the one before and the one after it.
pub fn between_others(text: &str) -> impl Iterator<Item = [char; 3]> {
    let before = [' '].into_iter().chain(text.chars());
    let after = text.chars().skip(1).chain([' ']);
    let all = before.zip(text.chars()).zip(after);
    all.map(|((before, c), after)| [before, c, after])
}

fn has_signs(word: &str) -> bool {
    between_others(word).any(|[before, c, after]| {
        let has_neighbours = |is: fn(char) -> bool| is(before) && is(after);
        // Box drawings are what the code pages of DOS have above the letters; private characters are one program's alone.
        matches!(c, '\u{2500}'..='\u{259f}' | '\u{e000}'..='\u{f8ff}')
            || SIGNS.contains(c) && (before.is_alphabetic() || after.is_alphabetic())
            || SIGNS_WITHIN.contains(c) && has_neighbours(char::is_alphabetic)
            || SIGNS_WITHIN_ASCII.contains(c) && has_neighbours(|c| c.is_ascii_alphabetic())
    })
}

/// `Èâàí` is Иван of windows-1251 read as windows-1252. No word has three letters or more, all of them with accents.
fn is_of_accents_alone(word: &str) -> bool {
    let mut letters = word.chars().filter(|c| c.is_alphabetic());
    letters.clone().count() > 2 && letters.all(|c| ('\u{c0}'..='\u{ff}').contains(&c))
}

/// `GarcÌa` is García of windows-1252 read as Mac OS Roman.
fn has_capital_within(word: &str) -> bool {
    word.split(|c: char| !c.is_alphabetic()).any(|letters| {
        letters.char_indices().any(|(index, c)| {
            let before = &letters[..index];
            c.is_uppercase()
                && is_latin(c)
                && before.ends_with(char::is_lowercase)
                && !BEFORE_CAPITALS.contains(&&*before.to_lowercase())
        })
    })
}

/// `Josй` is José of windows-1252 read as windows-1251. One Latin letter in a Cyrillic word is a typing error, and looks right.
fn mixes_scripts(word: &str) -> bool {
    let is_other = |c: &char| matches!(script(*c), Some(Script::Greek | Script::Cyrillic));
    let looks_latin = |c: char| "АВЕІЈКМНОРЅСТУХаеіјорѕсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧοιν".contains(c);
    let others = || word.chars().filter(is_other);
    others().any(|c| !looks_latin(c)) && word.chars().filter(char::is_ascii_alphabetic).count() > others().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clean;

    const REAL_NAMES: &str = include_str!("../../../tests/names.txt");

    fn real_names() -> impl Iterator<Item = &'static str> {
        REAL_NAMES
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    #[test]
    fn no_real_name_is_doubted() {
        assert!(real_names().count() >= 300);
        let languages = REAL_NAMES.lines().filter(|line| line.starts_with("# "));
        assert!(languages.count() >= 20);
        let shapes = |name: &str| [name.to_owned(), name.to_uppercase(), name.to_lowercase()];
        let words = real_names()
            .flat_map(|name| name.split(' '))
            .filter(|word| word.contains(char::is_alphabetic));
        let texts = real_names().flat_map(shapes).chain(words.map(str::to_owned));
        let doubt = |text: String| Some(format!("{text}: {}", clean::doubt(&text, clean::Kind::Name)?));
        assert_eq!(texts.filter_map(doubt).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn utf_8_that_was_read_in_another_encoding_is_recognised() {
        let mut missed = Vec::new();
        let mut all = 0;
        for name in real_names().filter(|name| !name.is_ascii()) {
            for encoding in SINGLE_BYTE {
                let (text, _) = encoding.decode_without_bom_handling(name.as_bytes());
                all += 1;
                if clean::doubt(&text, clean::Kind::Name).is_none() {
                    missed.push(format!("{name}: {text} ({})", encoding.name()));
                }
            }
        }
        println!("{} of {all} missed: {missed:#?}", missed.len());
        assert!(missed.len() * 50 < all, "{} of {all}", missed.len());
    }

    #[test]
    fn other_wrong_encodings_are_recognised() {
        let mut missed = Vec::new();
        for (name, right) in [
            ("Р˜РІР°РЅ РџРµС‚СЂРѕРІ", "Иван Петров"),
            ("Jos√© Garc√≠a", "José García"),
            ("JosГ©", "José"),
            ("JosĂ©", "José"),
            ("JosÃƒÂ©", "José"),
            ("Oâ€™Brien", "O’Brien"),
            ("å±±ç”°", "山田"),
            ("灞辩敯", "山田"),
            ("Jos├®", "José"),
            ("Jos├⌐", "José"),
            ("╨Ш╨▓╨░╨╜", "Иван"),
            ("Èâàí Ïåòðîâ", "Иван Петров"),
            ("W³adys³aw", "Władysław"),
            ("£ukasz", "Łukasz"),
            ("J÷rg", "Jörg"),
            ("Mⁿller", "Müller"),
            ("J„ger", "Jäger"),
            ("J”rg", "Jörg"),
            ("ÍõÐ¡Ã÷", "王小明"),
            ("¤ý¤p©ú", "王小明"),
            ("±èÃ¶¼ö", "김철수"),
            ("ŽR“c", "山田"),
            ("Ãéþñãïò", "Γιώργος"),
            ("ãåã ëäï", "דוד כהן"),
            ("GarcÌa", "García"),
            ("JosŽ", "José"),
            ("JosÚ", "José"),
            ("Josй", "José"),
            ("Mьller", "Müller"),
        ] {
            if !is_misread(name) || is_misread(right) {
                missed.push(name);
            }
        }
        assert_eq!(missed, [""; 0]);
    }
}
