//! The company name derived from an e-mail domain (`docs/contract.md#company`).
//!
//! The registrable domain is found with both sections of the Public Suffix List, which the `psl` crate contains as code. The
//! domains that name no company are in `data/no-company.txt`; its sources and licences are in `data/README.md`.

use std::cmp::Ordering;

use crate::email::Email;

/// Registrable domains in their ASCII form, one per line, in byte order. A line that begins with a dot stands for the domains
/// below it only: `acme.zendesk.com` is a customer's, `zendesk.com` is Zendesk's own.
const NO_COMPANY: &str = include_str!("../data/no-company.txt");

/// The company of an address: `Acme Customer` for `jan@mail.acme-customer.de`.
///
/// `None` for a mailbox provider's or a disposable address, for a domain under which a provider gives its customers
/// subdomains, and for a domain that is a public suffix itself.
#[must_use]
pub fn company_name(email: &Email) -> Option<String> {
    let full_domain = email.ascii_domain();
    let domain = psl::domain_str(full_domain)?;
    let mut below = full_domain.match_indices('.').map(|(dot, _)| &full_domain[dot..]);
    if is_listed(domain) || below.any(is_listed) {
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

/// Binary search over the lines of the list. A vector of them would take longer to build than a start has.
fn is_listed(line: &str) -> bool {
    let mut rest = NO_COMPANY;
    while !rest.is_empty() {
        let middle = rest.len() / 2;
        // Every line is ASCII and ends with a line feed.
        let start = rest[..middle].rfind('\n').map_or(0, |end| end + 1);
        let end = rest[middle..].find('\n').map_or(rest.len(), |end| middle + end);
        match line.cmp(&rest[start..end]) {
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
        company_name(&Email::parse(&address).unwrap_or_else(|problem| panic!("{domain}: {problem:?}")))
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
        let domains = "
            gmail.com googlemail.com outlook.com hotmail.com hotmail.fr live.com msn.com yahoo.com yahoo.co.uk yahoo.co.jp
            ymail.com aol.com icloud.com me.com mac.com gmx.de gmx.net gmx.at gmx.ch web.de t-online.de freenet.de posteo.de
            mailbox.org proton.me protonmail.com pm.me tuta.com tutanota.com fastmail.com hey.com zoho.com mail.ru yandex.ru
            qq.com 163.com 126.com naver.com daum.net orange.fr laposte.net free.fr libero.it wp.pl onet.pl seznam.cz ziggo.nl
            telenet.be sapo.pt uol.com.br rediffmail.com mail.gmail.com
            otenet.gr net.hr netcologne.de ewetel.net o2online.de alice-dsl.net neostrada.pl interia.eu voo.be kpnplanet.nl
            bezeqint.net aliyun.com hotmail.co.kr telia.com eunet.rs iinet.net.au xtra.co.nz telkomsa.net prodigy.net.mx
            jcom.zaq.ne.jp upcmail.ie hol.gr inet.hr t-com.hr nbnet.nb.ca sasktel.net jaring.my streamyx.com vnn.vn";
        for domain in domains.split_whitespace() {
            assert_eq!(company(domain), None, "{domain}");
        }
    }

    #[test]
    fn a_disposable_address_names_no_company() {
        let domains = "
            mailinator.com guerrillamail.com sharklasers.com grr.la 10minutemail.com yopmail.com temp-mail.org trashmail.com
            maildrop.cc getnada.com dispostable.com throwawaymail.com mohmal.com discard.email fakeinbox.com mailnesia.com
            spamgourmet.com wegwerfmail.de jetable.org emailondeck.com mail.tm tempr.email moakt.cc abc.mailinator.com";
        for domain in domains.split_whitespace() {
            assert_eq!(company(domain), None, "{domain}");
        }
    }

    #[test]
    fn a_subdomain_that_a_provider_gives_its_customers_names_no_company() {
        let domains = "
            acme.onmicrosoft.com acme.mail.onmicrosoft.com onmicrosoft.com acme.zendesk.com mail.acme.zendesk.com
            acme.freshdesk.com acme.myshopify.com acme.my.salesforce.com acme.atlassian.net acme.service-now.com acme.sharepoint.com
            acme.hubspot.com acme.slack.com";
        for domain in domains.split_whitespace() {
            assert_eq!(company(domain), None, "{domain}");
        }
        for (domain, expected) in [
            ("zendesk.com", "Zendesk"),
            ("salesforce.com", "Salesforce"),
            ("notzendesk.com", "Notzendesk"),
            ("zendesk.com.au", "Zendesk"),
            ("acme.microsoft.com", "Microsoft"),
        ] {
            assert_eq!(company(domain).as_deref(), Some(expected), "{domain}");
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
    fn every_line_of_the_list_is_a_domain_that_names_no_company() {
        let lines: Vec<&str> = NO_COMPANY.lines().collect();
        assert!(lines.len() > 9_000);
        assert!(lines.is_sorted_by(|a, b| a < b), "sorted, each once");
        assert!(NO_COMPANY.is_ascii() && NO_COMPANY.ends_with('\n'));
        let address = |line: &str| format!("{}{line}", if line.starts_with('.') { "acme" } else { "" });
        let reachable = |line: &&str| {
            psl::domain_str(&address(line))
                .is_some_and(|domain| domain == address(line) || format!(".{domain}") == **line)
        };
        let unreachable: Vec<_> = lines.iter().filter(|line| !reachable(line)).collect();
        assert!(unreachable.is_empty(), "not registrable: {unreachable:?}");
        for line in lines {
            assert_eq!(company(&address(line)), None, "{line}");
            assert!(!is_listed(&format!("{line}x")), "{line}x");
            assert!(!is_listed(&line[1..]) || NO_COMPANY.contains(&format!("\n{}\n", &line[1..])));
        }
        assert!(!is_listed(""));
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
