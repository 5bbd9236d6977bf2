//! Cells that mean "nothing", or a formula that failed. None of them is a name or an address.

use std::{collections::HashSet, sync::LazyLock};

/// What programs and people write for nothing, in lower case: English, German, French, Spanish, Dutch, Danish, Norwegian,
/// Swedish, Finnish, Italian, Portuguese, Polish, Czech, Hungarian, Russian, Turkish, Japanese, Chinese. Words that are names too,
/// such as `blank`, `leer` and `tom`, are not in here: programs write them in brackets.
const NOTHING: [&str; 19] = [
    "n/a|n\\a|n.a.|array|n.a|n. a.|n/d|n.d.|n. d.|\\n|undefined|<nil>|tbd|tbc|tba|xxx|xxxx",
    "unknown|not available|not applicable|not provided|not specified|not set|not given|no name|noname|no first name|no last \
     name|no data|no value|anonymous|loading...",
    "unbekannt|k.a.|k. a.|k.a|keine angabe|keine angaben|nicht angegeben|nicht verfügbar|nicht vorhanden|ohne namen|kein \
     name|wird geladen...",
    "inconnu|inconnue|non renseigné|non renseignée|non spécifié|non communiqué|non fourni|non disponible|sans nom|sans \
     objet|n.c.|n/c|aucun|néant|chargement...",
    "desconocido|desconocida|no disponible|no especificado|no proporcionado|no indicado|no aplica|sin nombre|sin datos|sin \
     especificar|s/n|s/d|ninguno|cargando...",
    "onbekend|niet beschikbaar|niet opgegeven|niet ingevuld|niet van toepassing|n.v.t.|nvt|n.b.|geen|geen naam|laden...",
    "ukendt|ikke angivet|ikke oplyst|ikke tilgængelig|ingen|intet navn|i/t|indlæser...",
    "ukjent|ikke oppgitt|ikke angitt|ikke tilgjengelig|laster inn...",
    "okänd|okänt|saknas|ej angivet|ej angiven|ej tillgänglig|uppgift saknas|inget namn|laddar...",
    "tuntematon|ei tiedossa|ei saatavilla|ei määritetty|ei annettu|puuttuu|ei nimeä|ladataan...",
    "sconosciuto|sconosciuta|non disponibile|non specificato|non fornito|non indicato|nessuno|senza nome|caricamento...",
    "desconhecido|desconhecida|não disponível|não informado|não informada|não especificado|não fornecido|não se aplica|sem \
     nome|nenhum|carregando...|a carregar...",
    "nieznany|nieznana|nieznane|brak danych|nie podano|nie dotyczy|niedostępne|bez nazwy|ładowanie...|wczytywanie...",
    "neznámý|neznámá|neznámé|není k dispozici|neuvedeno|nezadáno|neudáno|bez jména|načítání...",
    "ismeretlen|nincs|nincs adat|nincs megadva|nem elérhető|nem ismert|betöltés...",
    "неизвестно|неизвестный|неизвестная|нет|нет данных|не указано|не указан|не указана|не задано|н/д|без имени|отсутствует|\
     загрузка...",
    "bilinmiyor|bilinmeyen|belirtilmemiş|belirtilmedi|veri yok|isimsiz|mevcut değil|yükleniyor...",
    "不明|なし|無し|未設定|未入力|未登録|該当なし|名前なし|名無し",
    "未知|无|無|不详|不詳|未提供|未填写|未填|暂无|佚名|匿名|不适用|不適用|加载中",
];
/// The same, written exactly so: in another case they are names.
const NOTHING_IN_THIS_CASE: [&str; 15] = [
    "NULL", "null", "NA", "NaN", "nan", "NAN", "nil", "NIL", "None", "none", "NONE", "FALSE", "false", "brak", "yok",
];
/// What is around a field's name in templates that were never filled in, and around a word for nothing.
const BRACKETS: [(char, char); 4] = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>')];

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
        || BRACKETS.iter().any(|&(open, close)| {
            let mut depth = 0;
            let end = in_brackets.char_indices().find(|&(_, c)| {
                depth += i32::from(c == open) - i32::from(c == close);
                depth <= 0
            });
            in_brackets.starts_with(open) && end.is_some_and(|(index, _)| index + 1 == in_brackets.len())
        })
}

fn is_nothing(text: &str) -> bool {
    static IN_ANY_CASE: LazyLock<HashSet<&str>> =
        LazyLock::new(|| NOTHING.iter().flat_map(|words| words.split('|')).collect());
    let text = text.trim();
    let lower = || text.replace('…', "...").to_lowercase();
    NOTHING_IN_THIS_CASE.contains(&text) || IN_ANY_CASE.contains(lower().as_str())
}

/// A formula, `#NAME?` and `########` in any language, and `LibreOffice`'s `Err:502`.
fn is_formula(cell: &str) -> bool {
    let is_error_number = |(word, number): (&str, &str)| {
        let (word, number) = (word.trim_end(), number.trim_start());
        !word.is_empty()
            && word.chars().all(char::is_alphabetic)
            && number.len() == 3
            && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_error = |word: &str| word.starts_with('#') && word.ends_with(['!', '?']);
    let begins_as_one = cell
        .strip_prefix('#')
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    begins_as_one
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
        for nothing in NOTHING.iter().flat_map(|words| words.split('|')) {
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
