//! What templates may call: glyphs, times, commits and sentences. Each writes markup of its own around escaped text.

use handlebars::{Handlebars, Helper, HelperResult, Output, RenderContext};
use tracker::text::{seen, written_out};

/// Escapes text for HTML, in elements and in quoted attributes; what can't be seen, or is taken for another character, is
/// made visible.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for (c, as_it_is) in seen(text) {
        match c {
            c if !as_it_is => {
                out.push_str("&lt;");
                out.push_str(written_out(c).trim_matches(['<', '>']));
                out.push_str("&gt;");
            }
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub(super) fn register(templates: &mut Handlebars<'_>) {
    templates.register_helper("glyph", Box::new(glyph));
    templates.register_helper("glyph2", Box::new(glyph_of_word));
    templates.register_helper("mark", Box::new(mark));
    templates.register_helper("when", Box::new(when));
    templates.register_helper("commit", Box::new(commit));
    templates.register_helper("said", Box::new(said));
}

type Registry<'a> = Handlebars<'a>;
type Data = handlebars::Context;

fn text<'a>(helper: &'a Helper<'_>, at: usize) -> &'a str {
    helper.param(at).and_then(|param| param.value().as_str()).unwrap_or_default()
}

fn field<'a>(helper: &'a Helper<'_>, name: &str) -> &'a str {
    helper.param(0).and_then(|param| param.value().get(name)).and_then(|value| value.as_str()).unwrap_or_default()
}

fn draw(out: &mut dyn Output, class: &str, glyph: &str) -> HelperResult {
    let (class, glyph) = (escape(class), escape(glyph));
    Ok(out.write(&format!("<svg class=\"g {class}\" aria-hidden=\"true\"><use href=\"#i-{glyph}\"/></svg>"))?)
}

/// `{{glyph look}}`: a state's shape; its word stands beside it.
fn glyph(
    h: &Helper<'_>,
    _: &Registry<'_>,
    _: &Data,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    draw(out, text(h, 0), text(h, 0))
}

/// `{{glyph2 look shape}}`: another shape in the colour of a look.
fn glyph_of_word(
    h: &Helper<'_>,
    _: &Registry<'_>,
    _: &Data,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    draw(out, text(h, 0), text(h, 1))
}

/// `{{mark look}}`: a state in a row of marks, where passing is quiet.
fn mark(
    h: &Helper<'_>,
    _: &Registry<'_>,
    _: &Data,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let look = text(h, 0);
    draw(out, look, if look == "passed" { "check" } else { look })
}

/// `{{when time}}`: how long ago, with the exact time.
fn when(
    h: &Helper<'_>,
    _: &Registry<'_>,
    _: &Data,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let [iso, exact, ago] = ["iso", "exact", "ago"].map(|name| escape(field(h, name)));
    Ok(out.write(&format!("<time datetime=\"{iso}\" title=\"{exact}\">{ago}</time>"))?)
}

/// `{{commit id}}`: a short commit id, the whole one in its title.
fn commit(
    h: &Helper<'_>,
    _: &Registry<'_>,
    _: &Data,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    let [full, short] = ["full", "short"].map(|name| escape(field(h, name)));
    Ok(out.write(&format!("<code title=\"{full}\">{short}</code>"))?)
}

/// `{{said text}}`: a sentence; what stands in backquotes is code.
fn said(
    h: &Helper<'_>,
    _: &Registry<'_>,
    _: &Data,
    _: &mut RenderContext<'_, '_>,
    out: &mut dyn Output,
) -> HelperResult {
    Ok(out.write(&sentence(text(h, 0)))?)
}

fn sentence(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    // With an odd backquote nobody knows what is code.
    if pieces.len().is_multiple_of(2) {
        return escape(text);
    }
    let shown = pieces
        .iter()
        .enumerate()
        .map(|(i, piece)| if i % 2 == 1 { format!("<code>{}</code>", escape(piece)) } else { escape(piece) });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_escaped() {
        assert_eq!(
            escape("<a href=\"x\">'&\u{202e}\0"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&lt;U+202E&gt;&lt;U+0000&gt;"
        );
        assert_eq!(escape("p\u{430}y; adm\u{131}n\u{37e}"), "p&lt;U+0430&gt;y; adm&lt;U+0131&gt;n&lt;U+037E&gt;");
        assert_eq!(sentence("set `required = true`, <b>"), "set <code>required = true</code>, &lt;b&gt;");
        assert_eq!(sentence("a ` b"), "a ` b");
    }
}
