//! Cells that mean "nothing", or a formula that failed. None of them is a name or an address. `placeholders.txt` has the words.

use std::{collections::HashSet, sync::LazyLock};

/// The words for nothing, in lower case.
static NOTHING: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("placeholders.txt").lines();
    let words = lines.filter_map(|line| Some(line.split_once(" | ")?.1));
    words.flat_map(|words| words.split("; ")).collect()
});
/// The same, written exactly so: in another case they are names.
const NOTHING_IN_THIS_CASE: [&str; 15] = [
    "NULL", "null", "NA", "NaN", "nan", "NAN", "nil", "NIL", "None", "none", "NONE", "FALSE", "false", "brak", "yok",
];
/// What is around a field's name in templates that were never filled in, and around a word for nothing.
const BRACKETS: [[char; 2]; 4] = [['(', ')'], ['[', ']'], ['{', '}'], ['<', '>']];

/// Whether a cell means "nothing", or is a formula that failed.
pub fn is_placeholder(cell: &str) -> bool {
    let words = || cell.split([' ', ',']).filter(|word| !word.is_empty());
    is_formula(cell)
        || !cell.is_empty() && cell.chars().all(|c| c.is_ascii_punctuation() || "–—…".contains(c))
        || is_enclosed(cell)
        // `Ann [not provided]`, `undefined undefined`, `Ann N/A`, and `Ann null` beside `Ann Null`.
        || cell.split(['(', ')', '[', ']']).any(is_nothing)
        || cell.contains(' ') && words().all(is_nothing)
        || words().any(|word| word.contains('/') && is_nothing(word))
        || cell.contains(char::is_uppercase) && words().any(|word| ["undefined", "null", "NaN"].contains(&word))
}

/// Whether a cell is in brackets as a whole: `{{name}}`, not `(Bob) Smith (Jr)`. Or in other signs: `*|FNAME|*`, `%NAME%`.
fn is_enclosed(cell: &str) -> bool {
    let is_between = |open: &str, close: &str| cell.len() > 2 && cell.starts_with(open) && cell.ends_with(close);
    let in_brackets = cell.trim_start_matches('$');
    is_between("*|", "|*")
        || is_between("%", "%")
        || BRACKETS.iter().any(|&brackets| {
            let [open, close] = brackets;
            let inside = in_brackets.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
            // The bracket that opens the cell is not closed before its end.
            let is_closed = |inside: &str| inside.matches(brackets).next() == Some(close.encode_utf8(&mut [0; 4]));
            inside.is_some_and(|inside| !is_closed(inside))
        })
}

fn is_nothing(text: &str) -> bool {
    let text = text.trim();
    let lower = || text.replace('…', "...").to_lowercase();
    NOTHING_IN_THIS_CASE.contains(&text) || NOTHING.contains(&*lower())
}

/// A formula, `#NAME?` and `########` in any language, and `LibreOffice`'s `Err:502`.
fn is_formula(cell: &str) -> bool {
    let is_error_number = |(word, number): (&str, &str)| {
        let number = number.trim_start();
        number.len() == 3 && number.parse::<u16>().is_ok() && word.trim_end().chars().all(char::is_alphabetic)
    };
    let is_error = |word: &str| word.starts_with('#') && word.ends_with(['!', '?']);
    let is_number = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    cell.strip_prefix('#').is_some_and(|rest| !is_number(rest))
        || cell.starts_with('=')
        || cell.split(' ').any(is_error)
        || cell.split_once(':').is_some_and(is_error_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Excel, Google Sheets, `LibreOffice` in the languages of the table, in its order. Excel in Japanese and Chinese has the
    /// English ones.
    const ERRORS: &str = "\
#NAME? #REF! #VALUE! #DIV/0! #N/A #NULL! #NUM! #SPILL! #CALC! #FIELD! #GETTING_DATA #BLOCKED! #CONNECT! #UNKNOWN! #BUSY! \
#ERROR! #MACRO? #ADDIN? Err:502 Err:522 ######## ###
#NAME? #BEZUG! #WERT! #DIV/0! #NV #NULL! #ZAHL! #ÜBERLAUF! #KALK! #FELD! Fehler:502
#NOM? #REF! #VALEUR! #DIV/0! #N/A #NUL! #NOMBRE! #PROPAGATION! #CALCUL! Err:502
#¿NOMBRE? #¡REF! #¡VALOR! #¡DIV/0! #N/D #¡NULO! #¡NUM! #¡DESBORDAMIENTO! #¡CALC! #NOMBRE? #VALOR!
#NAAM? #VERW! #WAARDE! #DEEL/0! #N/B #LEEG! #GETAL! #OVERLOPEN! #BEREKENEN! Fout:502
#NAVN? #REFERENCE! #VÆRDI! #DIVISION/0! #I/T #NUL! #NUM! Fejl:502
#NAVN? #REF! #VERDI! #DIV/0! #I/T #NULL! #NUM! Feil:502
#NAMN? #REFERENS! #VÄRDEFEL! #DIVISION/0! #SAKNAS! #SKÄRNING! #OGILTIGT! Fel:502
#NIMI? #VIITTAUS! #ARVO! #JAKO/0! #PUUTTUU! #TYHJÄ! #LUKU! Virhe:502
#NOME? #RIF! #VALORE! #DIV/0! #N/D #NULLO! #NUM! #ESPANSIONE! #CALC!
#NOME? #REF! #VALOR! #DIV/0! #N/D #NULO! #NÚM! #DESPEJAR! Erro:502
#NAZWA? #ADR! #ARG! #DZIEL/0! #N/D #ZERO! #LICZBA! #ROZLANIE! Błąd:502
#NÁZEV? #ODKAZ! #HODNOTA! #DĚLENÍ_NULOU! #NENÍ_K_DISPOZICI #NULL! #ČÍSLO! Chyba:502
#NÉV? #HIV! #ÉRTÉK! #ZÉRÓOSZTÓ! #HIÁNYZIK #NULLA! #SZÁM! Hiba:502
#ИМЯ? #ССЫЛКА! #ЗНАЧ! #ДЕЛ/0! #Н/Д #ПУСТО! #ЧИСЛО! #ПЕРЕНОС! Ошибка:502
#AD? #BAŞV! #DEĞER! #SAYI/0! #YOK #BOŞ! #SAYI! #TAŞMA! Hata:502";

    #[test]
    fn errors_of_spreadsheets_and_words_for_nothing_are_placeholders() {
        for error in ERRORS.split_whitespace().chain(["Err : 502", "Ann #REF!"]) {
            assert!(is_placeholder(error), "{error}");
        }
        for &nothing in NOTHING.iter() {
            assert_eq!(nothing, nothing.to_lowercase());
            for text in [nothing.to_owned(), nothing.to_uppercase(), format!("Ann [{nothing}]")] {
                assert!(is_placeholder(&text), "{text}");
            }
        }
        for text in [
            "NULL",
            "(null)",
            "[not provided]",
            "(vacío)",
            "(Leer)",
            "{{first_name}}",
            "[[name]]",
            "*|FNAME|*",
            "%NAME%",
            "${name}",
            "<none>",
            "-",
            "—",
            "...",
            "?",
            "N/A N/A",
            "undefined undefined",
            "null null",
            "Ann undefined",
            "Ann null",
            "null, null",
            "N/A Lee",
            "=VLOOKUP(A2;B:C;2)",
            "Loading…",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "Null",
            "HENRIK NULL",
            "henrik null",
            "Nan",
            "Na",
            "Nil",
            "Blank",
            "Leer",
            "Tom",
            "Jane Smith (née Jones)",
            "Smith (Bob)",
            "(Bob) Smith (Jr)",
            "No",
            "Nono",
            "Err",
            "",
            "50 Cent",
            "#1 Plumbing",
            "空",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
