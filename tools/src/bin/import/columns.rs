//! The meaning of each column, by the titles that CRMs and address books give their columns, in six languages.
//!
//! Two thirds of the titles are translations that no public file confirms. These were found in sample exports, in vendors' help
//! or in the code of other importers (`program/localization/*/csv2vcard.inc` of roundcube/roundcubemail has Outlook's and
//! Thunderbird's): Outlook in all six languages; Thunderbird in English, German, French and Spanish; `HubSpot` in English, French and
//! Spanish; Pipedrive in English, German, French and Spanish; Google Contacts, Salesforce, Zoho and Mailchimp in English. For a
//! title that is missing here, use the column options. Apple's Contacts exports vCards; the titles of the usual converters are here.

use crate::{clean, options::ColumnOptions, terminal::shortened};

/// What a column may be for a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Name,
    First,
    Middle,
    /// Comes before the last name, in a column of its own in Dutch exports.
    Particle,
    Last,
    SecondLast,
    Suffix,
    /// Not used: `Dr.` and `Ms.` are not part of a name here.
    Title,
    Email,
    /// Used if the main address is empty.
    OtherEmail,
}

use Role::{Email, First, Last, Middle, Name, OtherEmail, Particle, SecondLast, Suffix, Title};

/// Titles by their letters alone, in lower case: `E-mail 2 - Value` is `emailvalue`. In this order: English, German, French,
/// Spanish, Dutch, Danish.
const TITLES: [(Role, &str); 55] = [
    // Pipedrive: `Person - Name`; Zoho: `Contact Name`; Salesforce: `Full Name`; Google (old): `Name`.
    (Name, "name fullname contactname contact personname displayname"),
    (Name, "vollständigername vollername ganzername kontaktname anzeigename"),
    (
        Name,
        "nom nomcomplet prénometnom nometprénom nomducontact personnenom nomàafficher",
    ),
    (
        Name,
        "nombrecompleto nombreyapellidos nombreyapellido nombredelcontacto nombredecontacto nombreenpantalla",
    ),
    (
        Name,
        "naam volledigenaam contactnaam naamcontactpersoon persoonnaam weergavenaam",
    ),
    (Name, "navn fuldenavn fuldtnavn kontaktnavn personnavn visningsnavn"),
    // Google (old): `Given Name`; Mailchimp's merge tag is `FNAME`.
    (
        First,
        "firstname first givenname forename fname personfirstname contactfirstname",
    ),
    (First, "vorname rufname personvorname"),
    (First, "prénom prenom prénomducontact personneprénom"),
    (
        First,
        "nombre nombredepila primernombre personanombre personanombredepila",
    ),
    (First, "voornaam roepnaam persoonvoornaam"),
    (First, "fornavn personfornavn"),
    // Google (old): `Additional Name`.
    (
        Middle,
        "middlename middle middlenames middleinitial additionalname secondname",
    ),
    (
        Middle,
        "weiterevornamen weiterervorname zweitervorname zweitername mittelname",
    ),
    (Middle, "deuxièmeprénom secondprénom autresprénoms"),
    (Middle, "segundonombre"),
    (Middle, "tweedenaam tweedevoornaam middelstenaam"),
    (Middle, "mellemnavn mellemnavne"),
    (Particle, "namensvorsatz vorsatzwort"),
    (Particle, "tussenvoegsel tussenvoegsels"),
    // Google (old): `Family Name`; Mailchimp's merge tag is `LNAME`.
    (
        Last,
        "lastname last surname familyname lname personlastname contactlastname",
    ),
    (Last, "nachname familienname zuname personnachname"),
    (Last, "nomdefamille personnenomdefamille"),
    (
        Last,
        "apellidos apellido primerapellido apellidopaterno personaapellido personaapellidos",
    ),
    (Last, "achternaam familienaam persoonachternaam"),
    (Last, "efternavn familienavn personefternavn"),
    (SecondLast, "secondlastname"),
    (SecondLast, "segundoapellido apellidomaterno"),
    (Suffix, "suffix namesuffix"),
    (Suffix, "namenssuffix namenszusatz"),
    (Suffix, "suffixe"),
    (Suffix, "sufijo"),
    (Suffix, "achtervoegsel"),
    (Suffix, "suffiks efternavnssuffiks"),
    (Title, "salutation title nameprefix prefix honorific"),
    (Title, "anrede titel namenspräfix"),
    (Title, "civilité titre"),
    (Title, "tratamiento título saludo"),
    (Title, "aanhef"),
    (Title, "tiltale"),
    // Outlook: `E-mail Address`, `E-mail 2 Address`; Google: `E-mail 1 - Value`; Mailchimp: `Email Address`.
    (
        Email,
        "email mail emailaddress mailaddress emailvalue primaryemail primaryemailaddress contactemail",
    ),
    (Email, "workemail emailwork businessemail personemail personemailwork"),
    (
        Email,
        "emailadresse mailadresse emailgeschäftlich geschäftlicheemail emailarbeit primäreemail",
    ),
    (Email, "primäreemailadresse personemailadresse personemailadressebüro"),
    (
        Email,
        "adresseemail adressemail adressedemessagerie adressedecourriel adressedecourrierélectronique",
    ),
    (
        Email,
        "adresseélectronique adresseélectroniqueprincipale courriel emailprofessionnel personneemail personneemailtravail",
    ),
    (
        Email,
        "correo correoelectrónico correoelectronico direccióndecorreoelectrónico direccióndecorreo direccióndeemail",
    ),
    (
        Email,
        "correoelectrónicodeltrabajo personacorreoelectrónico personacorreoelectrónicotrabajo emaildeltrabajo direccióndecorreoelectrónicoprincipal",
    ),
    (
        Email,
        "emailadres mailadres zakelijkemail emailwerk persoonemail persoonemailwerk",
    ),
    (Email, "emailarbejde arbejdsemail personemailarbejde"),
    (
        OtherEmail,
        "secondaryemail homeemail emailhome otheremail emailother personalemail alternateemail personemailhome",
    ),
    (
        OtherEmail,
        "personemailother emailprivat privateemail weitereemail sekundäreemail sekundäreemailadresse personemailadresseprivat personemailadressesonstiger",
    ),
    (
        OtherEmail,
        "emailpersonnel emailsecondaire adresseélectroniquesecondaire autreemail personneemaildomicile personneemailautre",
    ),
    (
        OtherEmail,
        "correoelectrónicosecundario correoelectrónicopersonal direccióndecorreoelectrónicosecundaria direccióndelcorreoelectrónico emaildelacasa",
    ),
    (
        OtherEmail,
        "priveemail secundaireemail persoonemailthuis privatemail sekundæremail personemailhjem personemailandet",
    ),
];

/// Full names, unless there is a column of first names and none of last names: then they are last names.
const NAME_OR_LAST: [&str; 4] = ["name", "nom", "naam", "navn"];
/// First names, unless there is no column of last names: then they are full names. With one, they may be either.
const FIRST_OR_NAME: [&str; 2] = ["nombre", "personanombre"];

/// A column, by its place and its title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its place in each record.
    pub index: usize,
    title: String,
}

/// The columns of a contact.
#[derive(Debug, Default)]
pub struct Columns {
    /// Full names. If one is empty, the other columns are used.
    pub name: Option<Column>,
    /// First names.
    pub first: Option<Column>,
    /// Middle names.
    pub middle: Option<Column>,
    /// What comes before last names.
    pub particle: Option<Column>,
    /// Last names.
    pub last: Option<Column>,
    /// Second last names.
    pub second_last: Option<Column>,
    /// What follows last names.
    pub suffix: Option<Column>,
    /// Whether the column of first names may contain full names: its title doesn't say.
    pub first_may_be_full: bool,
    /// The same for the column of last names.
    pub last_may_be_full: bool,
    /// Addresses: the first one that isn't empty is used.
    pub emails: Vec<Column>,
    /// Titles, which are left out.
    title: Option<Column>,
    unused: Vec<String>,
}

/// What a header lacks.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// A column that the command line names.
    Named(String),
    /// A column of names.
    Name,
    /// A column of addresses.
    Email,
}

impl Columns {
    /// The columns of this header.
    ///
    /// # Errors
    ///
    /// What the header lacks.
    pub fn of(header: &[Vec<u8>], options: &ColumnOptions) -> Result<Self, Missing> {
        let titles: Vec<String> = header.iter().map(|title| shown(title)).collect();
        let roles: Vec<Option<Role>> = titles.iter().map(|title| role(title)).collect();
        let column = |index: usize| Column {
            index,
            title: titles[index].clone(),
        };
        let find = |role: Role| roles.iter().position(|&found| found == Some(role)).map(column);
        let all = |role: Role| {
            let indices = (0..roles.len()).filter(|&index| roles[index] == Some(role));
            indices.map(column).collect::<Vec<_>>()
        };
        let named = |title: &String| {
            let wanted = words(title);
            let index = titles.iter().position(|title| words(title) == wanted);
            index.map(column).ok_or_else(|| Missing::Named(title.clone()))
        };
        let optional = |title: &Option<String>| title.as_ref().map(named).transpose();

        let mut columns = Self {
            title: find(Title),
            ..Self::default()
        };
        let parts = [&options.name, &options.first, &options.middle, &options.last];
        if parts.iter().any(|title| title.is_some()) {
            columns.name = optional(&options.name)?;
            columns.first = optional(&options.first)?;
            columns.middle = optional(&options.middle)?;
            columns.last = optional(&options.last)?;
        } else {
            columns.name = find(Name);
            columns.first = find(First);
            columns.middle = find(Middle);
            columns.particle = find(Particle);
            columns.last = find(Last);
            columns.second_last = find(SecondLast);
            columns.suffix = find(Suffix);
            columns.settle_ambiguous_titles();
        }
        if columns.name.is_none() && columns.first.is_none() && columns.last.is_none() {
            return Err(Missing::Name);
        }
        columns.emails = if options.emails.is_empty() {
            [all(Email), all(OtherEmail)].concat()
        } else {
            options.emails.iter().map(named).collect::<Result<_, _>>()?
        };
        if columns.emails.is_empty() {
            return Err(Missing::Email);
        }
        columns.unused = (0..titles.len())
            .filter(|&index| !columns.used().any(|column| column.index == index))
            .map(|index| titles[index].clone())
            .filter(|title| !title.is_empty())
            .collect();
        Ok(columns)
    }

    fn settle_ambiguous_titles(&mut self) {
        let is = |column: &Option<Column>, titles: &[&str]| {
            column
                .as_ref()
                .is_some_and(|column| titles.contains(&letters(&column.title).as_str()))
        };
        if self.last.is_none() && self.first.is_some() && is(&self.name, &NAME_OR_LAST) {
            self.last = self.name.take();
            self.last_may_be_full = true;
        }
        if self.name.is_none() && is(&self.first, &FIRST_OR_NAME) {
            if self.last.is_none() {
                self.name = self.first.take();
            } else {
                self.first_may_be_full = true;
            }
        }
    }

    fn used(&self) -> impl Iterator<Item = &Column> {
        self.roles().map(|(_, column)| column).chain(&self.emails)
    }

    fn roles(&self) -> impl Iterator<Item = (&'static str, &Column)> {
        [
            ("full name", &self.name),
            ("first name", &self.first),
            ("middle name", &self.middle),
            ("last-name prefix", &self.particle),
            ("last name", &self.last),
            ("second last name", &self.second_last),
            ("suffix", &self.suffix),
            ("title (not used)", &self.title),
        ]
        .into_iter()
        .filter_map(|(role, column)| Some((role, column.as_ref()?)))
    }

    /// Which columns are taken for what, and which aren't used: a line for people.
    pub fn shown(&self) -> String {
        let roles: Vec<String> = self
            .roles()
            .map(|(role, column)| format!("{role} \"{}\"", column.title))
            .collect();
        let emails: Vec<String> = self
            .emails
            .iter()
            .map(|column| format!("\"{}\"", column.title))
            .collect();
        format!(
            "{}, email {}. Not used: {}.",
            roles.join(", "),
            emails.join(", or else "),
            listed(&self.unused)
        )
    }
}

/// Titles for display, shortened if there are many.
pub fn listed(titles: &[String]) -> String {
    const MOST: usize = 12;
    let quoted: Vec<String> = titles.iter().take(MOST).map(|title| format!("\"{title}\"")).collect();
    match titles.len() {
        0 => "none".to_owned(),
        all if all > MOST => format!("{} and {} more", quoted.join(", "), all - MOST),
        _ => quoted.join(", "),
    }
}

/// A title for display.
pub fn shown(title: &[u8]) -> String {
    shortened(clean::trimmed(&String::from_utf8_lossy(title)))
}

fn role(title: &str) -> Option<Role> {
    let letters = letters(title);
    let mut roles = TITLES.iter();
    let (role, _) = roles.find(|(_, titles)| titles.split(' ').any(|title| title == letters))?;
    Some(*role)
}

/// A title without what differs from product to product: `E-mail 1 - Value`, `First_Name`, `FirstName`.
fn letters(title: &str) -> String {
    let composed = icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(title);
    let letters = composed.chars().filter(|&c| c.is_alphabetic());
    letters.flat_map(char::to_lowercase).collect()
}

/// A title's words, so that the command line may write it with any case and white space.
fn words(title: &str) -> Vec<String> {
    let words = title.split(|c: char| c.is_whitespace() || c == '_' || c == '-');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str) -> Result<Columns, Missing> {
        let header: Vec<Vec<u8>> = header.split(',').map(|title| title.as_bytes().to_vec()).collect();
        Columns::of(&header, &ColumnOptions::default())
    }

    fn of(header: &str) -> Result<String, Missing> {
        columns(header).map(|columns| columns.shown())
    }

    #[test]
    fn no_title_has_two_roles_or_is_not_in_its_own_form() {
        let all: Vec<&str> = TITLES.iter().flat_map(|(_, titles)| titles.split(' ')).collect();
        for (index, title) in all.iter().enumerate() {
            assert_eq!(letters(title), *title);
            assert!(!all[..index].contains(title), "{title} appears more than once");
        }
    }

    #[test]
    fn a_title_that_means_two_things_is_settled_by_the_others() {
        for (header, expected) in [
            ("Name,Email", "full name \"Name\", email \"Email\". Not used: none."),
            (
                "Vorname,Name,E-Mail",
                "first name \"Vorname\", last name \"Name\", email \"E-Mail\". Not used: none.",
            ),
            (
                "Nom,Prénom,E-mail",
                "first name \"Prénom\", last name \"Nom\", email \"E-mail\". Not used: none.",
            ),
            ("Nom,Courriel", "full name \"Nom\", email \"Courriel\". Not used: none."),
            (
                "Nombre,Apellidos,Correo",
                "first name \"Nombre\", last name \"Apellidos\", email \"Correo\". Not used: none.",
            ),
            (
                "Nombre,Correo",
                "full name \"Nombre\", email \"Correo\". Not used: none.",
            ),
            (
                "Name,Given Name,Family Name,E-mail 1 - Type,E-mail 1 - Value,E-mail 2 - Value",
                "full name \"Name\", first name \"Given Name\", last name \"Family Name\", email \"E-mail 1 - Value\", \
                 or else \"E-mail 2 - Value\". Not used: \"E-mail 1 - Type\".",
            ),
        ] {
            assert_eq!(of(header).unwrap(), expected);
        }
        assert_eq!(of("Company,Email"), Err(Missing::Name));
        assert_eq!(of("Name,Phone"), Err(Missing::Email));
        assert_eq!(of("name;email"), Err(Missing::Name));
    }
    #[test]
    fn only_a_title_that_means_two_things_may_have_full_names_beside_another_column() {
        for (header, first, last) in [
            ("Nombre,Apellidos,Correo", true, false),
            ("Vorname,Name,E-Mail", false, true),
            ("First Name,Last Name,Email", false, false),
            ("Name,Nombre,Apellidos,Correo", false, false),
        ] {
            let columns = columns(header).unwrap();
            assert_eq!(
                (columns.first_may_be_full, columns.last_may_be_full),
                (first, last),
                "{header}"
            );
        }
    }

    #[test]
    fn of_many_titles_twelve_are_shown() {
        let titles = |count: usize| vec!["T".to_owned(); count];
        assert_eq!(listed(&titles(0)), "none");
        assert_eq!(listed(&titles(2)), r#""T", "T""#);
        assert_eq!(listed(&titles(12)).matches("\"T\"").count(), 12);
        assert!(!listed(&titles(12)).contains("more"));
        assert!(listed(&titles(13)).ends_with("\"T\" and 1 more"));
    }
}
