//! The sections of RFC 9293 that state requirements.

/// Number and title of each section that states a requirement, in the order of the RFC.
pub(super) const SECTIONS: [(&str, &str); 33] = [
    ("3.1", "Header Format"),
    ("3.2", "Specific Option Definitions"),
    ("3.4", "Sequence Numbers"),
    ("3.4.1", "Initial Sequence Number Selection"),
    ("3.5", "Establishing a Connection"),
    ("3.5.3", "Reset Processing"),
    ("3.6", "Closing a Connection"),
    ("3.6.1", "Half-Closed Connections"),
    ("3.7.1", "Maximum Segment Size Option"),
    ("3.7.3", "Interfaces with Variable MTU Values"),
    ("3.7.4", "Nagle Algorithm"),
    ("3.8.1", "Retransmission Timeout"),
    ("3.8.2", "TCP Congestion Control"),
    ("3.8.3", "TCP Connection Failures"),
    ("3.8.4", "TCP Keep-Alives"),
    ("3.8.5", "The Communication of Urgent Information"),
    ("3.8.6", "Managing the Window"),
    ("3.8.6.1", "Zero-Window Probing"),
    ("3.8.6.2.1", "Sender's Algorithm: When to Send Data"),
    ("3.8.6.2.2", "Receiver's Algorithm: When to Send a Window Update"),
    ("3.8.6.3", "Delayed Acknowledgments: When to Send an ACK Segment"),
    ("3.9.1.1", "Open"),
    ("3.9.1.2", "Send"),
    ("3.9.1.3", "Receive"),
    ("3.9.1.7", "Flush"),
    ("3.9.1.8", "Asynchronous Reports"),
    ("3.9.1.9", "Set Differentiated Services Field"),
    ("3.9.2", "TCP/Lower-Level Interface"),
    ("3.9.2.1", "Source Routing"),
    ("3.9.2.2", "ICMP Messages"),
    ("3.9.2.3", "Source Address Validation"),
    ("3.10.7.4", "Event Processing: Segments in Other States"),
    ("", "Elsewhere"),
];

/// The place in [`SECTIONS`] of a clause; of one that is not there, the last.
pub(super) fn place(clause: &str) -> usize {
    SECTIONS.iter().position(|(number, _)| *number == clause).unwrap_or(SECTIONS.len() - 1)
}

/// The address of a clause: of the first section of RFC 9293 that it names; none when it names none.
pub(super) fn address(clause: &str) -> Option<String> {
    let first = clause.split([';', ',', ' ']).next()?;
    let numbered = first.starts_with(|letter: char| letter.is_ascii_digit())
        && first.chars().all(|letter| letter.is_ascii_digit() || letter == '.')
        && first.contains('.');
    numbered.then(|| format!("https://www.rfc-editor.org/rfc/rfc9293#section-{first}"))
}

#[cfg(test)]
mod tests {
    use model::requirement::REQUIREMENTS;

    use super::{SECTIONS, address, place};

    #[test]
    fn every_requirement_has_its_section() {
        for requirement in &REQUIREMENTS {
            let (number, _) = SECTIONS[place(requirement.clause)];
            assert_eq!(number, requirement.clause, "{}", requirement.id);
        }
        assert_eq!(SECTIONS[place("9.9")].1, "Elsewhere");
    }

    #[test]
    fn a_clause_leads_to_its_section() {
        let expected = Some("https://www.rfc-editor.org/rfc/rfc9293#section-3.6.1".to_owned());
        assert_eq!(address("3.6.1; 3.4.2"), expected);
        assert_eq!(address("RFC 5961, 3.2"), None);
        assert_eq!(address("Figure 5"), None);
        assert_eq!(address(""), None);
    }
}
