//! The company name derived from an e-mail domain (`docs/contract.md#company`).
//!
//! The registrable domain is found with both sections of the Public Suffix List, which the `psl` crate contains as code. The
//! mailbox providers are in `data/mailbox-providers.txt`; its sources and licences are in `data/README.md`.

use std::cmp::Ordering;

use crate::email::Email;

/// Registrable domains in their ASCII form, one per line, in byte order.
const MAILBOX_PROVIDERS: &str = include_str!("../data/mailbox-providers.txt");

/// The company of an address: `Acme Customer` for `jan@mail.acme-customer.de`.
///
/// `None` for a mailbox provider's address and for a domain that is a public suffix itself.
#[must_use]
pub fn company_name(email: &Email) -> Option<String> {
    let domain = psl::domain_str(email.ascii_domain())?;
    if is_mailbox_provider(domain) {
        return None;
    }
    let (label, _) = domain.split_once('.')?;
    // The label is part of a domain that is valid under IDNA, so decoding it can't fail.
    let (label, _) = idna::domain_to_unicode(label);
    let mut company = String::with_capacity(label.len());
    for word in label.split('-').filter(|word| !word.is_empty()) {
        if !company.is_empty() {
            company.push(' ');
        }
        let mut letters = word.chars();
        company.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        company.push_str(letters.as_str());
    }
    Some(company)
}

/// Binary search over the lines of the list, in place and without an index.
fn is_mailbox_provider(domain: &str) -> bool {
    let mut rest = MAILBOX_PROVIDERS;
    while !rest.is_empty() {
        let middle = rest.len() / 2;
        // Every line is ASCII and ends with a line feed.
        let start = rest[..middle].rfind('\n').map_or(0, |end| end + 1);
        let end = rest[middle..].find('\n').map_or(rest.len(), |end| middle + end);
        match domain.cmp(&rest[start..end]) {
            Ordering::Equal => return true,
            Ordering::Less => rest = &rest[..start],
            Ordering::Greater => rest = rest.get(end + 1..).unwrap_or(""),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn company(domain: &str) -> Option<String> {
        let address = format!("jan@{domain}");
        company_name(&Email::parse(&address).unwrap_or_else(|fault| panic!("{domain}: {fault:?}")))
    }

    #[test]
    fn the_company_is_the_first_label_of_the_registrable_domain() {
        for (domain, expected) in [
            ("acme-customer.de", "Acme Customer"),
            ("mail.acme-customer.de", "Acme Customer"),
            ("acme.co.uk", "Acme"),
            ("acme.uk.com", "Acme"),
            ("xn--exmple-cua.de", "Exämple"),
            ("exämple.de", "Exämple"),
            ("EXAMPLE.ORG", "Example"),
            ("a.b.c.example.com", "Example"),
            ("acme.com.au", "Acme"),
            ("acme.co.jp", "Acme"),
            ("shop.acme.com.br", "Acme"),
            ("acme.unlisted", "Acme"),
            ("acme.internal.unlisted", "Internal"),
            ("acme.github.io", "Acme"),
            ("acme.公司.cn", "Acme"),
            ("acme.xn--55qx5d.cn", "Acme"),
            ("例え.jp", "例え"),
            ("пример.рф", "Пример"),
            ("a--b.de", "A B"),
            ("3m.com", "3m"),
            ("city.kawasaki.jp", "City"),
            ("www.acme.foo.ck", "Acme"),
        ] {
            assert_eq!(company(domain).as_deref(), Some(expected), "{domain}");
        }
    }

    #[test]
    fn a_mailbox_providers_address_names_no_company() {
        for domain in [
            "gmail.com",
            "googlemail.com",
            "outlook.com",
            "hotmail.com",
            "hotmail.fr",
            "live.com",
            "msn.com",
            "yahoo.com",
            "yahoo.co.uk",
            "yahoo.co.jp",
            "ymail.com",
            "aol.com",
            "icloud.com",
            "me.com",
            "mac.com",
            "gmx.de",
            "gmx.net",
            "gmx.at",
            "gmx.ch",
            "web.de",
            "t-online.de",
            "freenet.de",
            "posteo.de",
            "mailbox.org",
            "proton.me",
            "protonmail.com",
            "pm.me",
            "tuta.com",
            "tutanota.com",
            "fastmail.com",
            "hey.com",
            "zoho.com",
            "mail.ru",
            "yandex.ru",
            "qq.com",
            "163.com",
            "126.com",
            "naver.com",
            "daum.net",
            "orange.fr",
            "laposte.net",
            "free.fr",
            "libero.it",
            "wp.pl",
            "onet.pl",
            "seznam.cz",
            "ziggo.nl",
            "telenet.be",
            "sapo.pt",
            "uol.com.br",
            "rediffmail.com",
            "mail.gmail.com",
        ] {
            assert_eq!(company(domain), None, "{domain}");
        }
    }

    #[test]
    fn a_public_suffix_names_no_company() {
        for domain in [
            "co.uk",
            "uk.com",
            "github.io",
            "com.au",
            "公司.cn",
            "foo.ck",
            "s3.amazonaws.com",
        ] {
            assert_eq!(company(domain), None, "{domain}");
        }
    }

    #[test]
    fn every_line_of_the_list_is_a_registrable_domain_that_names_no_company() {
        let lines: Vec<&str> = MAILBOX_PROVIDERS.lines().collect();
        assert!(lines.len() > 4_000);
        assert!(lines.is_sorted_by(|a, b| a < b), "sorted, each once");
        assert!(MAILBOX_PROVIDERS.is_ascii() && MAILBOX_PROVIDERS.ends_with('\n'));
        let unregistrable: Vec<_> = lines
            .iter()
            .filter(|line| psl::domain_str(line) != Some(line))
            .collect();
        assert!(unregistrable.is_empty(), "{unregistrable:?}");
        for line in lines {
            assert_eq!(company(line), None, "{line}");
            assert!(!is_mailbox_provider(&format!("{line}x")), "{line}x");
            assert!(!is_mailbox_provider(&line[1..]) || MAILBOX_PROVIDERS.contains(&format!("\n{}\n", &line[1..])));
        }
        assert!(!is_mailbox_provider(""));
    }

    #[test]
    fn every_well_known_company_has_its_name() {
        let lines = include_str!("../data/companies.txt").lines();
        let domains: Vec<_> = lines
            .filter(|line| !line.starts_with('#'))
            .flat_map(str::split_whitespace)
            .collect();
        assert!(domains.len() > 1_000);
        let nameless: Vec<_> = domains.into_iter().filter(|domain| company(domain).is_none()).collect();
        assert!(nameless.is_empty(), "{nameless:?}");
    }
}
