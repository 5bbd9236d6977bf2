//! The meaning of each column: which ones have the parts of a name, which ones have addresses, and what is a question.

use std::collections::{BTreeMap, HashSet};

use crate::{
    clean,
    options::ColumnOptions,
    terminal::{quoted, shortened},
    titles::{
        Meaning,
        Role::{self, First, Last, Middle, Particle, Prefix, SecondLast, Suffix},
        meaning,
    },
};

/// How many titles of unused columns are shown.
const SHOWN_UNUSED: usize = 12;
/// How many titles are shown in a question, so that the one that is needed is among them.
const SHOWN_IN_QUESTION: usize = 100;
/// What the titles of names and of addresses have in common in many languages: these columns come first in a question.
const LIKE_NAME: [&str; 11] = [
    "name", "nom", "naam", "navn", "namn", "nimi", "apel", "имя", "фам", "名", "姓",
];
const LIKE_EMAIL: [&str; 8] = ["mail", "post", "corr", "courr", "почт", "メール", "邮", "郵"];

/// The parts of a name that have columns of their own.
pub const PARTS: [Role; 7] = [First, Middle, Prefix, Particle, Last, SecondLast, Suffix];
const EMAILS: [Role; 3] = [Role::Email, Role::WorkEmail, Role::OtherEmail];

/// A column, and what its title says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its place in each record.
    pub index: usize,
    /// Its title, for display.
    pub title: String,
    /// What its title says.
    pub meaning: Meaning,
}

/// The columns of a contact.
#[derive(Debug, Default)]
pub struct Columns {
    /// Those of the name. Full names are for rows that have no parts.
    names: BTreeMap<Role, Column>,
    /// An option names the column of full names: they are used for all rows that have them.
    pub name_comes_first: bool,
    /// The column of first or of last names that may have full names: its title doesn't say.
    pub may_be_full: Option<Role>,
    /// The half of the name that a column has, and the one that none has, although one that isn't used may have it.
    pub missing: Option<[Role; 2]>,
    /// Addresses: the first one that isn't empty is used.
    pub emails: Vec<Column>,
    /// Columns that aren't used.
    pub unused: Vec<Column>,
}

/// Why it isn't clear which column is what.
#[derive(Debug, PartialEq, Eq)]
pub struct Unclear {
    /// Only a header gives this.
    pub is_of_a_header: bool,
    /// What to do about it.
    pub question: String,
}

impl Unclear {
    fn new(is_of_a_header: bool, question: String) -> Self {
        Self {
            is_of_a_header,
            question,
        }
    }

    fn same_title(title: &str) -> Self {
        let title = shortened(title);
        let question = format!("more than one column has the title {title}: give them different ones in the file.");
        Self::new(true, question)
    }
}

/// The column that an option names. Its title says nothing any more.
fn take(header: &mut [Column], title: &str) -> Result<Column, Unclear> {
    let find = |is_meant: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let meant = header.iter().filter(|column| is_meant(&column.title));
        meant.map(|column| column.index).collect()
    };
    let mut found = find(&|other| other == title);
    if found.is_empty() {
        found = find(&|other| words(other) == words(title));
    }
    match found[..] {
        [] => {
            let (title, columns) = (shortened(title), all(header, &[]));
            let question = format!("there is no column {title}; the columns are {columns}.");
            Err(Unclear::new(false, question))
        }
        [index] => {
            header[index].meaning.role = None;
            Ok(header[index].clone())
        }
        _ => Err(Unclear::same_title(title)),
    }
}

/// The columns that have one of these roles by their titles, the likeliest first.
fn find<R: Ord>(header: &[Column], roles: &[Role], rank: fn(&Column) -> R) -> Result<Vec<Column>, Unclear> {
    let has_role = |column: &&Column| column.meaning.role.is_some_and(|role| roles.contains(&role));
    let mut found: Vec<Column> = header.iter().filter(has_role).cloned().collect();
    found.sort_by_key(rank);
    let likeliest = titles(found.iter().take_while(|column| rank(column) == rank(&found[0])));
    match &likeliest[..] {
        [] | [_] => Ok(found),
        [title, others @ ..] if others.iter().all(|other| other == title) => Err(Unclear::same_title(title)),
        [title, ..] => {
            let (role, titles) = (roles[0].shown(), listed(&likeliest, SHOWN_IN_QUESTION));
            let example = format!("{} {}", roles[0].option(), quoted(title));
            let question = format!(
                "more than one column may have the {role}: {titles}. Say which one does, for example with {example}."
            );
            Err(Unclear::new(true, question))
        }
    }
}

/// The column with a part of the name. A title without a number comes before those with one.
fn one(header: &[Column], roles: &[Role]) -> Result<Option<Column>, Unclear> {
    let found = find(header, roles, |column| column.meaning.number > 0)?;
    Ok(found.into_iter().next())
}

impl Columns {
    /// The columns of this header. An option says what one column is, and the titles say it of the others.
    ///
    /// # Errors
    ///
    /// What isn't clear.
    pub fn of(header: &[Vec<u8>], options: &ColumnOptions) -> Result<Self, Unclear> {
        let column = |(index, title): (usize, &Vec<u8>)| {
            let title = shown(title);
            let meaning = meaning(&title);
            Column { index, title, meaning }
        };
        let mut header: Vec<Column> = header.iter().enumerate().map(column).collect();
        let mut columns = Self::default();
        for (role, title) in options.titles() {
            let column = take(&mut header, title)?;
            match role {
                Role::Email => columns.emails.push(column),
                _ => columns.insert(role, Some(column)),
            }
        }
        let named = [Role::Name, First, Last].map(|role| columns.get(role).is_some());
        for role in PARTS {
            if role != Prefix && columns.get(role).is_none() {
                columns.insert(role, one(&header, &[role])?);
            }
        }
        columns.name_comes_first = named[0];
        if !columns.name_comes_first {
            columns.find_name(&header)?;
        }
        columns.missing = match [Role::Name, First, Last].map(|role| columns.get(role).is_some()) {
            [false, false, false] => {
                let question = format!(
                    "a contact needs a name, but no column has a title for names: which column has the name? Set it with --name-column, \
                     or with --first-name-column and --last-name-column; the columns are {}.",
                    all(&header, &LIKE_NAME)
                );
                return Err(Unclear::new(false, question));
            }
            [false, true, false] if !named[1] => Some([First, Last]),
            [false, false, true] if !named[2] => Some([Last, First]),
            _ => None,
        };
        if columns.emails.is_empty() {
            columns.emails = find(&header, &EMAILS, |column| (column.meaning.role, column.meaning.number))?;
        }
        if columns.emails.is_empty() {
            let titles = all(&header, &LIKE_EMAIL);
            let question =
                format!("which column has the address? Set it with --email-column; the columns are {titles}.");
            return Err(Unclear::new(false, question));
        }
        for role in [Prefix, Role::Title] {
            let first = header.iter().find(|column| column.meaning.role == Some(role));
            columns.insert(role, first.cloned());
        }
        let used = columns.names.values().chain(&columns.emails);
        let used: HashSet<usize> = used.map(|column| column.index).collect();
        header.retain(|column| !used.contains(&column.index) && !column.title.is_empty());
        columns.unused = header;
        Ok(columns)
    }

    /// Finds the column of full names. Beside a column with one half of the name, it may be the one with the other half.
    fn find_name(&mut self, header: &[Column]) -> Result<(), Unclear> {
        const FULL: [Role; 2] = [Role::Name, Role::NameOrPart];
        match [First, Last].map(|role| self.get(role).is_some()) {
            [false, false] => self.insert(Role::Name, one(header, &FULL)?),
            // `Name,Surname`
            [false, true] => {
                self.insert(First, one(header, &FULL)?);
                self.may_be_full = self.get(First).and(Some(First));
            }
            // `Name;Vorname`
            [true, false] => {
                self.insert(Last, one(header, &[Role::NameOrPart])?);
                self.insert(Role::Name, one(header, &[Role::Name])?);
                self.may_be_full = self.get(Last).and(Some(Last));
            }
            // If the parts are there, a row without them is better rejected than given a name from one of several columns.
            [true, true] => self.insert(Role::Name, one(header, &FULL).unwrap_or_default()),
        }
        Ok(())
    }

    fn insert(&mut self, role: Role, column: Option<Column>) {
        self.names.extend(column.map(|column| (role, column)));
    }

    /// The column with this part of the name.
    pub fn get(&self, role: Role) -> Option<&Column> {
        self.names.get(&role)
    }

    /// Which columns are taken for what, and which aren't used, as one line of text.
    pub fn shown(&self) -> String {
        let shown = |(role, column): (&Role, &Column)| {
            let note = match role {
                Role::Title => " (not used)",
                Prefix => " (used if it is one such as van der)",
                Role::Name if column.meaning.is_last_first => " (last name first)",
                _ => "",
            };
            format!("{}{note} \"{}\"", role.shown(), column.title)
        };
        let roles: Vec<String> = self.names.iter().map(shown).collect();
        let emails = titles(&self.emails).join("\", or else \"");
        let unused = listed(&titles(&self.unused), SHOWN_UNUSED);
        format!("{}, email \"{emails}\". Not used: {unused}.", roles.join(", "))
    }

    /// The question which of these columns has the half of the name that is missing.
    pub fn question(&self, candidates: &[&Column]) -> String {
        let [known, missing] = self.missing.unwrap_or([First, Last]);
        let known_title = quoted(self.get(known).map_or("", |column| &column.title));
        let candidates = likely_first(candidates.iter().copied(), &LIKE_NAME);
        let (missing, set, known) = (missing.shown(), missing.option(), known.option());
        format!(
            "which column has the {missing}s? Set it with {set}, or if there are none, {known} {known_title}; the other columns are \
             {candidates}."
        )
    }
}

fn titles<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Vec<String> {
    columns.into_iter().map(|column| column.title.clone()).collect()
}

/// The titles of a header for display, those first that look like what is sought. A cell with an address isn't a title, and must
/// not be shown.
fn all(header: &[Column], like: &[&str]) -> String {
    let is_title = |column: &&Column| !column.title.is_empty() && !column.title.contains('@');
    likely_first(header.iter().filter(is_title), like)
}

fn likely_first<'a>(columns: impl IntoIterator<Item = &'a Column>, like: &[&str]) -> String {
    let mut titles = titles(columns);
    titles.sort_by_key(|title| {
        let title = title.to_lowercase();
        !like.iter().any(|part| title.contains(part))
    });
    listed(&titles, SHOWN_IN_QUESTION)
}

/// Titles for display, up to a number of them.
fn listed(titles: &[String], most: usize) -> String {
    let quoted: Vec<String> = titles.iter().take(most).map(|title| format!("\"{title}\"")).collect();
    match titles.len() {
        0 => "none".to_owned(),
        all if all > most => format!("{} and {} more", quoted.join(", "), all - most),
        _ => quoted.join(", "),
    }
}

/// A title for display.
pub fn shown(title: &[u8]) -> String {
    shortened(clean::trimmed(&String::from_utf8_lossy(title)))
}

/// A title's words, so that the command line may write it with any case and white space.
fn words(title: &str) -> Vec<String> {
    let words = title.split(|c: char| c.is_whitespace() || c == '_' || c == '-');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(header: &str) -> Vec<Vec<u8>> {
        header.split(',').map(|title| title.as_bytes().to_vec()).collect()
    }

    fn columns(header: &str, options: &ColumnOptions) -> Result<Columns, Unclear> {
        Columns::of(&cells(header), options)
    }

    /// What is taken for what; or the question.
    fn shown(header: &str, options: &ColumnOptions) -> String {
        match columns(header, options) {
            Ok(columns) => columns.shown(),
            Err(unclear) => unclear.question,
        }
    }

    #[test]
    fn a_title_that_means_name_is_the_half_that_no_other_column_has() {
        for (header, expected) in [
            ("Name,Email", r#"full name "Name", email"#),
            ("Name,Surname,Email", r#"first name "Name", last name "Surname", email"#),
            (
                "Full Name,Last Name,Email",
                r#"first name "Full Name", last name "Last Name", email"#,
            ),
            (
                "Vorname,Name,E-Mail",
                r#"first name "Vorname", last name "Name", email"#,
            ),
            (
                "Nom,Prénom(s),E-mail",
                r#"first name "Prénom(s)", last name "Nom", email"#,
            ),
            ("Nom,Courriel", r#"full name "Nom", email"#),
            (
                "Nombres,Apellidos,Correo",
                r#"first name "Nombres", last name "Apellidos", email"#,
            ),
            ("Nome,Cognome,Email", r#"first name "Nome", last name "Cognome", email"#),
            ("名字,姓氏,邮箱", r#"first name "名字", last name "姓氏", email"#),
            (
                "Full Name,First Name,Email",
                r#"full name "Full Name", first name "First Name", email"#,
            ),
            (
                "Name,Given Name,Family Name,Email",
                r#"full name "Name", first name "Given Name", last name "Family Name", email"#,
            ),
        ] {
            let shown = shown(header, &ColumnOptions::default());
            assert!(shown.starts_with(expected), "{header}: {shown}");
        }
    }

    #[test]
    fn two_columns_for_one_role_are_a_question() {
        for (header, expected) in [
            (
                "Name 1,Name 2,Email",
                r#"may have the full name: "Name 1", "Name 2". Say which one does, for example with --name-column 'Name 1'."#,
            ),
            (
                "Name,Contact Person,Email",
                r#"may have the full name: "Name", "Contact Person""#,
            ),
            (
                "First Name,Forename,Last Name,Email",
                r#"may have the first name: "First Name", "Forename""#,
            ),
            (
                "Name,Email,Email Address",
                r#"may have the address: "Email", "Email Address""#,
            ),
            (
                "Name,Home Email,Other Email",
                r#"may have the address: "Home Email", "Other Email""#,
            ),
            (
                "Name,Email,Email",
                "more than one column has the title Email: give them different ones in the file.",
            ),
        ] {
            let shown = shown(header, &ColumnOptions::default());
            assert!(shown.contains(expected), "{header}: {shown}");
        }
    }

    #[test]
    fn a_title_without_a_number_comes_first() {
        for (header, expected) in [
            (
                "Name,Name 2,Email",
                r#"full name "Name", email "Email". Not used: "Name 2"."#,
            ),
            (
                "Name,E-mail 3,E-mail 2,E-mail",
                r#"email "E-mail", or else "E-mail 2", or else "E-mail 3"."#,
            ),
            (
                "Name,E-mail 2 - Value,E-mail 1 - Value",
                r#"email "E-mail 1 - Value", or else "E-mail 2 - Value"."#,
            ),
            (
                "Name,Home Email,Work Email,Email",
                r#"email "Email", or else "Work Email", or else "Home Email"."#,
            ),
            // Not in doubt: the rows with parts are used, and the others have no name.
            (
                "First Name,Last Name,Name 1,Name 2,Email",
                r#"first name "First Name", last name "Last Name", email "Email". Not used: "Name 1", "Name 2"."#,
            ),
        ] {
            let shown = shown(header, &ColumnOptions::default());
            assert!(shown.contains(expected), "{header}: {shown}");
        }
    }

    #[test]
    fn an_option_adds_to_what_the_titles_say() {
        let last = ColumnOptions {
            last: Some("stam".to_owned()),
            ..ColumnOptions::default()
        };
        assert_eq!(
            shown("Voornaam,Tussenvoegsel,Stam,Email", &last),
            r#"first name "Voornaam", last-name prefix "Tussenvoegsel", last name "Stam", email "Email". Not used: none."#
        );
        let name = ColumnOptions {
            name: Some("Name 2".to_owned()),
            ..ColumnOptions::default()
        };
        assert!(shown("Name 1,Name 2,Email", &name).starts_with(r#"full name "Name 2", email"#));
        assert!(
            columns("Name 2,First Name,Last Name,Email", &name)
                .unwrap()
                .name_comes_first
        );
        // What an option names has no other role.
        let email = ColumnOptions {
            emails: vec!["Contact".to_owned()],
            ..ColumnOptions::default()
        };
        assert!(
            shown("Name,Contact,Email", &email).starts_with(r#"full name "Name", email "Contact". Not used: "Email"."#)
        );
        assert_eq!(
            columns("Name 2,name_2,Email", &name)
                .unwrap()
                .get(Role::Name)
                .unwrap()
                .index,
            0
        );
        assert_eq!(
            columns("name 2,name_2,Email", &name).unwrap_err(),
            Unclear::same_title("Name 2")
        );
        assert!(shown("Name,Email", &name).starts_with("there is no column Name 2;"));
    }

    #[test]
    fn half_of_a_name_is_missing_unless_an_option_names_the_other() {
        let of = |header, options: &ColumnOptions| columns(header, options).unwrap().missing;
        let none = ColumnOptions::default();
        assert_eq!(of("First Name,Family,Email", &none), Some([Role::First, Role::Last]));
        assert_eq!(of("Surname,Email", &none), Some([Role::Last, Role::First]));
        assert_eq!(of("First Name,Full Name,Email", &none), None);
        let first = ColumnOptions {
            first: Some("First Name".to_owned()),
            ..ColumnOptions::default()
        };
        assert_eq!(of("First Name,Family,Email", &first), None);
        let columns = columns("First Name,Town,Family name of birth,Email", &none).unwrap();
        assert_eq!(
            columns.question(&columns.unused.iter().collect::<Vec<_>>()),
            "which column has the last names? Set it with --last-name-column, or if there are none, --first-name-column \
             'First Name'; the other columns are \"Family name of birth\", \"Town\"."
        );
    }

    #[test]
    fn a_header_without_names_or_addresses_is_a_question_with_the_likeliest_titles_first() {
        let question = |header| columns(header, &ColumnOptions::default()).unwrap_err().question;
        let name = question("Company,Town,Customer name,Email");
        assert!(name.contains("a contact needs a name"), "{name}");
        assert!(
            name.ends_with(r#"the columns are "Customer name", "Company", "Town", "Email"."#),
            "{name}"
        );
        let email = question("Name,Telephone,Mail of the office");
        assert!(
            email.ends_with(r#"the columns are "Mail of the office", "Name", "Telephone"."#),
            "{email}"
        );
        assert!(!question("ann@acme.de").contains("ann"));
        let many: String = (0..16_383).map(|n| format!("T{n},")).collect();
        let many = question(&format!("{many}Customer name"));
        assert!(
            many.contains(r#"the columns are "Customer name", "T0""#) && many.ends_with("and 16284 more."),
            "{many}"
        );
    }
}
