//! `docs/protocol.md` says what the code does, where a test can tell.

use std::path::Path;

use wsgi_proto::channel::{ENVIRON_NAMES, Kind, READ_AHEAD};
use wsgi_proto::{VERSION, limits};

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    std::fs::read_to_string(page).expect("the page is readable")
}

#[test]
fn the_page_has_the_version() {
    assert!(page().contains(&format!("version **{VERSION}**")));
}

#[test]
fn the_page_numbers_every_environ_name() {
    let page = page();
    for (index, name) in ENVIRON_NAMES.iter().enumerate() {
        let cell = format!("| {} | `{name}` |", index + 1);
        assert!(page.contains(&cell), "missing: {cell}");
    }
    assert!(!page.contains(&format!("| {} | `", ENVIRON_NAMES.len() + 1)));
}

#[test]
fn the_page_has_a_section_for_every_kind_of_record() {
    let page = page();
    for kind in (0..=u8::MAX).filter_map(|kind| Kind::from_u8(kind).ok()) {
        let name = match kind {
            Kind::BodyEnd => "BODY_END".to_owned(),
            _ => format!("{kind:?}").to_uppercase(),
        };
        let heading = format!("### {name} ({})\n", kind as u8);
        assert!(page.contains(&heading), "missing: {heading}");
    }
}

#[test]
fn the_page_has_every_limit() {
    let page = page();
    for (name, limit, text) in [
        ("MAX_RECORD", limits::MAX_RECORD as usize, "16 MiB"),
        ("MAX_DATA", limits::MAX_DATA as usize, "1 MiB"),
        ("MAX_LOG", limits::MAX_LOG, "64 KiB"),
        ("MAX_DATAGRAM", limits::MAX_DATAGRAM as usize, "128 KiB"),
        ("MAX_ENVIRON", usize::from(limits::MAX_ENVIRON), "16,384"),
        ("MAX_ENVIRON_NAME", limits::MAX_ENVIRON_NAME, "8,192 bytes"),
        ("MAX_HEADERS", usize::from(limits::MAX_HEADERS), "4,096"),
        ("MAX_HEADER_NAME", limits::MAX_HEADER_NAME, "8,192 bytes"),
        ("MAX_HEADER_VALUE", limits::MAX_HEADER_VALUE, "1 MiB"),
        ("MAX_REASON", limits::MAX_REASON, "8,192 bytes"),
        ("READ_AHEAD", READ_AHEAD, "64 KiB"),
    ] {
        let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
        let number: usize = number.replace(',', "").parse().unwrap();
        let factor = match unit {
            "MiB" => 1 << 20,
            "KiB" => 1 << 10,
            _ => 1,
        };
        assert_eq!(limit, number * factor, "{name}");
        let row = format!("| `{name}` | {text} |");
        assert!(page.contains(&row), "missing: {row}");
    }
}
