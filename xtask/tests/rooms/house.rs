//! The files of a crate, and which of them imports which: by `use`, and by paths in bodies.

use crate::tokens::{Token, tokens};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One file imports another one.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Import {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) line: usize,
    /// What is imported.
    pub(crate) name: String,
}

/// A crate's files, in the order in which their modules are declared.
#[derive(Debug, Default)]
pub(crate) struct House {
    modules: Vec<Module>,
}

#[derive(Debug)]
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// Names that stand for others: of every `use`, whoever may see them.
    names: BTreeMap<String, Vec<String>>,
    /// Modules of which everything was imported.
    globs: Vec<Vec<String>>,
    /// What is defined here.
    items: BTreeSet<String>,
    uses: Vec<Use>,
    /// Paths in bodies.
    paths: Vec<(Vec<String>, usize)>,
}

#[derive(Debug)]
struct Use {
    path: Vec<String>,
    line: usize,
    /// Whether it takes everything.
    glob: bool,
}

/// Where a path leads.
#[derive(Clone, Copy, Debug)]
struct Place {
    module: usize,
    /// Whether it names the module itself and nothing in it.
    whole: bool,
}

const DEFINE: &[&str] = &["fn", "struct", "enum", "trait", "type", "const", "static", "union"];

impl House {
    /// Reads the crate of a folder: what its `src/lib.rs` and `src/main.rs` declare. Files are named from `root` on.
    pub(crate) fn read(root: &Path, of: &str) -> Self {
        let mut house = Self::default();
        for face in ["lib.rs", "main.rs"] {
            let file = Path::new(of).join("src").join(face);
            if root.join(&file).exists() {
                let folder = root.join(of).join("src");
                house.add(root, &file, &folder, None);
            }
        }
        house
    }

    fn add(&mut self, root: &Path, file: &Path, folder: &Path, parent: Option<usize>) -> usize {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let (mut module, declared) = Module::read(&tokens(&text));
        module.file = file.to_owned();
        module.parent = parent;
        let number = self.modules.len();
        self.modules.push(module);
        for name in declared {
            let inside = folder.join(&name);
            let found = [folder.join(format!("{name}.rs")), inside.join("mod.rs")].into_iter().find(|f| f.exists());
            let Some(found) = found else { continue };
            let found = found.strip_prefix(root).unwrap_or(&found).to_owned();
            let child = self.add(root, &found, &inside, Some(number));
            self.modules[number].children.insert(name, child);
        }
        number
    }

    /// Every file.
    pub(crate) fn files(&self) -> BTreeSet<&Path> {
        self.modules.iter().map(|module| module.file.as_path()).collect()
    }

    /// Who imports whom, each pair with every line.
    pub(crate) fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (number, module) in self.modules.iter().enumerate() {
            let uses = module.uses.iter().map(|used| (&used.path, used.line, used.glob));
            let paths = module.paths.iter().map(|(path, line)| (path, *line, false));
            for (path, line, is_glob) in uses.chain(paths) {
                let Some(place) = self.place(number, path, 0) else { continue };
                // A module alone gives nothing yet: what is taken of it is seen where it is named.
                let nothing = place.module == number || (place.whole && !is_glob);
                // A module is made of the modules inside of it: that it names them is no import.
                let own_part = self.is_below(place.module, number);
                if nothing || own_part || self.modules[place.module].file == module.file {
                    continue;
                }
                imports.insert(Import {
                    from: module.file.clone(),
                    to: self.modules[place.module].file.clone(),
                    line,
                    name: path.last().cloned().unwrap_or_default(),
                });
            }
        }
        imports
    }

    fn is_below(&self, mut module: usize, above: usize) -> bool {
        while let Some(parent) = self.modules[module].parent {
            if parent == above {
                return true;
            }
            module = parent;
        }
        false
    }

    /// The module in which something is defined; none for what other crates have.
    fn place(&self, from: usize, path: &[String], depth: usize) -> Option<Place> {
        if depth > 16 {
            return None;
        }
        let mut at = Place { module: from, whole: true };
        for (i, name) in path.iter().enumerate() {
            let module = &self.modules[at.module];
            at.module = match name.as_str() {
                "crate" => self.root(at.module),
                "self" => at.module,
                "super" => module.parent?,
                name => match self.named(at.module, name, depth)? {
                    Place { module, whole: true } => module,
                    found => return Some(found),
                },
            };
            if i == 0 && name == "crate" && path.len() == 1 {
                return None;
            }
        }
        Some(at)
    }

    /// What a name is in a module; none for what is unknown there.
    fn named(&self, number: usize, name: &str, depth: usize) -> Option<Place> {
        let module = &self.modules[number];
        if let Some(child) = module.children.get(name) {
            return Some(Place { module: *child, whole: true });
        }
        if let Some(path) = module.names.get(name) {
            return self.place(number, path, depth + 1);
        }
        if module.items.contains(name) {
            return Some(Place { module: number, whole: false });
        }
        module.globs.iter().find_map(|path| {
            let of = self.place(number, path, depth + 1)?;
            if of.module == number { None } else { self.named(of.module, name, depth + 1) }
        })
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.modules[module].parent {
            module = parent;
        }
        module
    }
}

impl Module {
    /// What a file says, and the modules that it declares in files of their own.
    fn read(tokens: &[Token]) -> (Self, Vec<String>) {
        let mut module = Self {
            file: PathBuf::new(),
            parent: None,
            children: BTreeMap::new(),
            names: BTreeMap::new(),
            globs: Vec::new(),
            items: BTreeSet::new(),
            uses: Vec::new(),
            paths: Vec::new(),
        };
        let (mut declared, mut at) = (Vec::new(), 0);
        let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
        while at < tokens.len() {
            let before = if at == 0 { "" } else { text(at - 1) };
            match text(at) {
                "mod" if text(at + 2) == ";" => {
                    declared.push(text(at + 1).to_owned());
                    at += 3;
                }
                "use" if text(at + 1) != "<" => {
                    at = module.read_use(tokens, at + 1);
                }
                word if DEFINE.contains(&word) && tokens.get(at + 1).is_some_and(Token::is_word) => {
                    module.items.insert(text(at + 1).to_owned());
                    at += 2;
                }
                _ if tokens[at].is_word() && text(at + 1) == "::" && before != "::" && before != "." => {
                    let line = tokens[at].line;
                    let mut path = vec![text(at).to_owned()];
                    at += 1;
                    while text(at) == "::" && tokens.get(at + 1).is_some_and(Token::is_word) {
                        path.push(text(at + 1).to_owned());
                        at += 2;
                    }
                    module.paths.push((path, line));
                }
                _ => at += 1,
            }
        }
        (module, declared)
    }

    /// Reads a `use` to its end.
    fn read_use(&mut self, tokens: &[Token], begin: usize) -> usize {
        let end = (begin..tokens.len()).find(|i| tokens[*i].is(";")).unwrap_or(tokens.len());
        let mut at = begin;
        self.read_tree(&tokens[..end], &mut at, &[]);
        end + 1
    }

    fn read_tree(&mut self, tokens: &[Token], at: &mut usize, outer: &[String]) {
        let mut path = outer.to_vec();
        let line = tokens.get(*at).map_or(0, |token| token.line);
        while let Some(token) = tokens.get(*at) {
            *at += 1;
            match token.text.as_str() {
                "::" => {}
                "*" => {
                    self.globs.push(path.clone());
                    self.uses.push(Use { path, line, glob: true });
                    return;
                }
                "{" => {
                    while tokens.get(*at).is_some_and(|token| !token.is("}")) {
                        self.read_tree(tokens, at, &path);
                        if tokens.get(*at).is_some_and(|token| token.is(",")) {
                            *at += 1;
                        }
                    }
                    *at += 1;
                    return;
                }
                "self" if !path.is_empty() => {}
                word => path.push(word.to_owned()),
            }
            if tokens.get(*at).is_none_or(|token| token.is(",") || token.is("}") || token.is("as")) {
                break;
            }
        }
        let mut name = path.last().cloned().unwrap_or_default();
        if tokens.get(*at).is_some_and(|token| token.is("as")) {
            name = tokens.get(*at + 1).map_or(name, |token| token.text.clone());
            *at += 2;
        }
        self.names.insert(name, path.clone());
        self.uses.push(Use { path, line, glob: false });
    }
}
