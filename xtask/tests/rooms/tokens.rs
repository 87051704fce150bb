//! Rust's text as words and marks, each with its line: without comments, texts and what is compiled for tests only.

/// A word or a mark; `::` is one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// All that counts of a file.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    without_tests(&all(text))
}

fn all(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied().unwrap_or(' ');
        let begin = at;
        let is_token = if c.is_whitespace() {
            at += 1;
            false
        } else if c == '/' && next == '/' {
            at = (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len());
            false
        } else if c == '/' && next == '*' {
            at = after_comment(&chars, at);
            false
        } else if let Some(end) = after_text(&chars, at) {
            at = end;
            false
        } else if c.is_alphanumeric() || c == '_' {
            at = (at..chars.len()).find(|i| !chars[*i].is_alphanumeric() && chars[*i] != '_').unwrap_or(chars.len());
            true
        } else {
            at += if c == ':' && next == ':' { 2 } else { 1 };
            true
        };
        if is_token {
            tokens.push(Token { text: chars[begin..at].iter().collect(), line });
        }
        line += chars[begin..at].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// The end of a comment, which may hold others.
fn after_comment(chars: &[char], begin: usize) -> usize {
    let (mut at, mut depth) = (begin, 0);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (at, depth) = (at + 2, depth + 1),
            ('*', '/') => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// The end of a text, raw or not, a character or a lifetime that begins here.
fn after_text(chars: &[char], begin: usize) -> Option<usize> {
    let at = |i: usize| chars.get(i).copied().unwrap_or(' ');
    let prefix = usize::from(matches!(at(begin), 'b' | 'c') && matches!(at(begin + 1), '"' | 'r' | '\''));
    let mark = begin + prefix;
    let until = |from: usize, end: char| {
        let mut i = from;
        while i < chars.len() && chars[i] != end {
            i += if chars[i] == '\\' { 2 } else { 1 };
        }
        i + 1
    };
    match at(mark) {
        '"' => Some(until(mark + 1, '"')),
        'r' if matches!(at(mark + 1), '"' | '#') => {
            let hashes = (mark + 1..).take_while(|i| at(*i) == '#').count();
            let first = mark + 1 + hashes;
            if at(first) != '"' {
                return None;
            }
            let ends = |i: &usize| at(*i) == '"' && (1..=hashes).all(|n| at(i + n) == '#');
            Some((first + 1..chars.len()).find(ends).map_or(chars.len(), |i| i + 1 + hashes))
        }
        '\'' if at(mark + 1) == '\\' || at(mark + 2) == '\'' => Some(until(mark + 1, '\'')),
        '\'' => Some(mark + 1),
        _ => None,
    }
}

/// Without items under `#[cfg(test)]`.
fn without_tests(all: &[Token]) -> Vec<Token> {
    let (mut kept, mut at) = (Vec::new(), 0);
    let is_at = |at: usize, words: &[&str]| {
        words.iter().enumerate().all(|(i, word)| all.get(at + i).is_some_and(|t| t.is(word)))
    };
    while at < all.len() {
        if is_at(at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            at += 7;
            while is_at(at, &["#", "["]) {
                at = after_braces(all, at + 1);
            }
            let ends = |i: &usize| all[*i].is(";") || all[*i].is("{");
            let end = (at..all.len()).find(ends).unwrap_or(all.len());
            at = if all.get(end).is_some_and(|t| t.is("{")) { after_braces(all, end) } else { end + 1 };
        } else {
            kept.push(all[at].clone());
            at += 1;
        }
    }
    kept
}

/// Behind the brace that closes the one which stands here.
fn after_braces(all: &[Token], begin: usize) -> usize {
    let mut depth = 0;
    for (at, token) in all.iter().enumerate().skip(begin) {
        match token.text.as_str() {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    all.len()
}
