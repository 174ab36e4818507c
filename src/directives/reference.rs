//! The manual's page of directives, made of the table.
//!
//! `UPDATE=1 cargo test manual` writes it; without UPDATE the test compares.

use std::fmt::Write as _;
use std::path::Path;

use super::{Context, DIRECTIVES, Directive};

const INTRODUCTION: &str = "\
# Directives

<!-- Made of the table in src/directives; `UPDATE=1 cargo test manual` writes it. -->

Contexts: *server config* is the main server, *virtual host* and *directory* are
sections (`<Directory>`, `<Location>`, `<Files>`, `<If>` too), *.htaccess* needs the
`AllowOverride` that is named. What is set nearer to the file wins. On and Off have
no case. Relative paths are below ServerRoot.

Words and options are separated by blanks; quote what holds blanks, as in
`name=\"a b\"` or `\"name=a b\"`. There are no blanks around `=`. The last of several
equal options wins.

Names may be one variable, as a whole:

| variable | stands for |
|---|---|
| `%{GLOBAL}` | the empty name |
| `%{RESOURCE}` | ServerName, port and path of the script: `www.example.org:8080\\|/app` |
| `%{SERVER}` | ServerName and port |
| `%{HOST}` | the Host header's host in lower case, without a port; ServerName if it is none |
| `%{ENV:name}` | a variable that SetEnv, SetEnvIf or RewriteRule set, or one of httpd's own environment |

The port is the one that the configuration says, and is left out if it is 80 or 443:
no client makes a new name by a port in its Host header.
";

/// The whole page.
fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut sorted: Vec<&Directive> = DIRECTIVES.iter().collect();
    sorted.sort_by_key(|directive| directive.name().trim_start_matches('<').to_lowercase());
    for directive in sorted {
        entry(&mut page, directive).unwrap();
    }
    page
}

fn entry(page: &mut String, directive: &Directive) -> std::fmt::Result {
    let Directive { arguments, default, summary, note, .. } = directive;
    let name = directive.name();
    let heading = match arguments.container {
        true => format!("\\{name}>"),
        false => name.to_owned(),
    };
    let context = match directive.context {
        Context::Global => "server config",
        Context::Server => "server config, virtual host",
        Context::Directory => "server config, virtual host, directory",
        Context::FileInfo => "server config, virtual host, directory, .htaccess (FileInfo)",
        Context::AuthConfig => "directory, .htaccess (AuthConfig)",
    };
    let default = match (*default, name) {
        ("none", _) => "none".to_owned(),
        (text, _) if text.chars().all(|c| c.is_ascii_alphanumeric() || "%{}".contains(c)) => {
            format!("`{text}`")
        }
        (text, _) => text.to_owned(),
    };
    write!(page, "\n## {heading}\n\n")?;
    writeln!(page, "- Syntax: `{name} {}`", arguments.usage)?;
    writeln!(page, "- Default: {default}")?;
    writeln!(page, "- Context: {context}")?;
    write!(page, "\n{summary}\n")?;
    if let Some(note) = note {
        write!(page, "\nHas no effect: {note}. A line at start says so.\n")?;
    }
    let options = (directive.options)();
    if !options.is_empty() {
        write!(page, "\n| option | default | what it does |\n|---|---|---|\n")?;
    }
    for option in options {
        let value = option.value.replace('|', "\\|");
        let note = option.note.map(|note| format!(" Has no effect: {note}.")).unwrap_or_default();
        let (name, default, summary) = (option.name, option.default, option.summary);
        writeln!(page, "| `{name}={value}` | {default} | {summary}{note} |")?;
    }
    Ok(())
}

#[test]
fn the_manual_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/directives.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/directives.md is out of date: UPDATE=1 cargo test manual");
}
