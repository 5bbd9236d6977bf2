//! Names that were read in a wrong encoding before they came into the file: `JosÃ©`, `Jos√©` and `Josй` for José.
//!
//! UTF-8 that was read in another encoding is recognised by doing it backwards: in that encoding, the word is UTF-8 again, of
//! letters that form a word. That doesn't happen by chance. Other mistakes leave signs where letters should be, or letters that no
//! word has side by side.

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, MACINTOSH, SHIFT_JIS, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253,
    WINDOWS_1254, WINDOWS_1257,
};

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
    // UTF-8 has at least two bytes for each of its characters outside ASCII.
    let mut pairs = word.chars().zip(word.chars().skip(1));
    let may_be_utf_8 = pairs.any(|(one, next)| !one.is_ascii() && !next.is_ascii());
    let is_utf_8 = || is_utf_8_in(word, &SINGLE_BYTE, is_word) || is_utf_8_in(word, &MULTI_BYTE, is_east_asian);
    !word.is_ascii()
        && (may_be_utf_8 && is_utf_8()
            || has_signs(word)
            || is_of_accents_alone(word)
            || has_capital_within(word)
            || mixes_scripts(word))
}

fn is_utf_8_in(word: &str, encodings: &[&'static Encoding], is_plausible: fn(&str) -> bool) -> bool {
    encodings.iter().any(|encoding| {
        let bytes = bytes(word, encoding);
        let decoded = bytes.as_deref().and_then(|bytes| str::from_utf8(bytes).ok());
        decoded.is_some_and(|decoded| is_plausible(decoded) || is_misread(decoded))
    })
}

/// A word in an encoding. Bytes that the encoding doesn't define are read as windows-1252's or as control characters by some
/// programs.
fn bytes(word: &str, encoding: &'static Encoding) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for c in word.chars() {
        let text = c.to_string();
        let of = |encoding: &'static Encoding| match encoding.encode(&text) {
            (bytes, _, false) => Some(bytes.into_owned()),
            _ => None,
        };
        match c {
            '\u{80}'..='\u{9f}' => bytes.push(u8::try_from(c).ok()?),
            _ => bytes.extend(of(encoding).or_else(|| of(WINDOWS_1252))?),
        }
    }
    Some(bytes)
}

/// Whether a decoded text is a word: of Latin letters beside ASCII, or of at least two letters of one other script. One
/// letter is a word in East Asia only.
fn is_word(text: &str) -> bool {
    let mut others = text.chars().filter(|c| !c.is_ascii());
    if text.contains(|c: char| c.is_ascii_alphabetic()) {
        let shouts = text.chars().filter(char::is_ascii_uppercase).count() > 1
            && !text.contains(|c: char| c.is_ascii_lowercase());
        return others.all(|c| is_latin(c) && !(shouts && c.is_lowercase() && c != 'ß'));
    }
    let scripts: Vec<Option<u32>> = others.map(script).collect();
    let [Some(script), ..] = scripts[..] else {
        return false;
    };
    (scripts.len() > 1 || script == EAST_ASIAN) && scripts.iter().all(|other| *other == Some(script))
}

fn is_east_asian(text: &str) -> bool {
    let others: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
    others.len() > 1 && others.iter().all(|&c| script(c) == Some(EAST_ASIAN))
}

/// Latin letters of today's languages, and the punctuation of names.
fn is_latin(c: char) -> bool {
    matches!(c, 'À'..='ſ' | 'Ə' | 'ə' | 'Ơ' | 'ơ' | 'Ư' | 'ư' | 'Ǎ'..='ǜ' | 'Ș'..='ț' | 'Ḁ'..='ỹ')
        && !matches!(c, '×' | '÷')
        || "\u{a0}\u{ad}´·ªº‘’“”–—…".contains(c)
}

const EAST_ASIAN: u32 = 0x3040;

/// The first character of a script's block.
fn script(c: char) -> Option<u32> {
    Some(match u32::from(c) {
        0x370..=0x3ff | 0x1f00..=0x1fff => 0x370,
        0x400..=0x45f | 0x490..=0x491 => 0x400,
        0x531..=0x587 => 0x530,
        0x5d0..=0x5ea => 0x590,
        0x621..=0x6d5 => 0x600,
        0x10d0..=0x10ff => 0x10a0,
        code @ 0x900..=0xe7f => code & !0x7f,
        0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7a3 => EAST_ASIAN,
        _ => return None,
    })
}

fn has_signs(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    let at = |index: Option<usize>| index.and_then(|index| chars.get(index)).copied().unwrap_or(' ');
    // Box drawings are what the code pages of DOS have above the letters; private characters are one program's alone.
    let is_never_right = |c: char| matches!(c, '\u{2500}'..='\u{259f}' | '\u{e000}'..='\u{f8ff}');
    chars.iter().enumerate().any(|(index, &c)| {
        let (before, after) = (at(index.checked_sub(1)), at(Some(index + 1)));
        is_never_right(c)
            || SIGNS.contains(c) && (before.is_alphabetic() || after.is_alphabetic())
            || SIGNS_WITHIN.contains(c) && before.is_alphabetic() && after.is_alphabetic()
            || SIGNS_WITHIN_ASCII.contains(c) && before.is_ascii_alphabetic() && after.is_ascii_alphabetic()
    })
}

/// `Èâàí` is Иван of windows-1251 read as windows-1252. No word has three letters or more, all of them with accents.
fn is_of_accents_alone(word: &str) -> bool {
    let mut letters = word.chars().filter(|c| c.is_alphabetic());
    letters.clone().count() > 2 && letters.all(|c| ('\u{c0}'..='\u{ff}').contains(&c))
}

/// `GarcÌa` is García of windows-1252 read as Mac OS Roman.
fn has_capital_within(word: &str) -> bool {
    let is_capital = |c: char| is_latin(c) && c.is_uppercase();
    word.char_indices().any(|(index, c)| {
        let before = word[..index]
            .rsplit(|c: char| !c.is_alphabetic())
            .next()
            .unwrap_or_default();
        is_capital(c)
            && before.ends_with(char::is_lowercase)
            && !BEFORE_CAPITALS.contains(&before.to_lowercase().as_str())
    })
}

/// `Josй` is José of windows-1252 read as windows-1251. One Latin letter in a Cyrillic word is a typing error, and looks right.
fn mixes_scripts(word: &str) -> bool {
    let is_other = |c: char| matches!(script(c), Some(0x370 | 0x400));
    let looks_latin = |c: char| "АВЕІЈКМНОРЅСТУХаеіјорѕсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧοιν".contains(c);
    let count = |is: &dyn Fn(char) -> bool| word.chars().filter(|&c| is(c)).count();
    word.contains(|c| is_other(c) && !looks_latin(c)) && count(&|c| c.is_ascii_alphabetic()) > count(&is_other)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let doubt = |text: String| crate::clean::doubt_about_name(&text, ',').map(|doubt| format!("{text}: {doubt}"));
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
                if crate::clean::doubt_about_name(&text, ',').is_none() {
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
