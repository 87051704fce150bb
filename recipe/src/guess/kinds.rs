//! The kinds of projects that are recognised. Each is one function; their order is the order in which they are tried.

use super::makefile::has_target;
use super::{Planned, Root};

type Kind = fn(&Root<'_>) -> Option<Planned>;

pub(super) const KINDS: &[Kind] = &[
    make_that_tests,
    autotools,
    cargo,
    node,
    deno,
    python,
    meson,
    cmake,
    go,
    gradle,
    maven,
    dune,
    mix,
    rebar,
    stack,
    cabal,
    ruby,
    composer,
    dotnet,
    swift,
    zig,
    perl,
    make_that_builds,
];

/// In the order in which GNU make looks for them.
const MAKEFILES: &[&str] = &["GNUmakefile", "makefile", "Makefile"];

fn make_that_tests(root: &Root<'_>) -> Option<Planned> {
    let file = root.first(MAKEFILES)?;
    let text = root.text(file)?;
    let target = ["check", "test"].into_iter().find(|target| has_target(&text, target))?;
    let plan = Planned::new(format!("a {file} with the target `{target}`"));
    Some(plan.step("test", format!("make {target}")))
}

fn make_that_builds(root: &Root<'_>) -> Option<Planned> {
    let file = root.first(MAKEFILES)?;
    Some(Planned::new(format!("a {file} without a target `check` or `test`")).step("build", "make"))
}

fn autotools(root: &Root<'_>) -> Option<Planned> {
    let source = root.first(&["configure.ac", "configure.in"]);
    let file = root.first(&["configure"]).or(source)?;
    let plan = Planned::new(file);
    let plan = match root.first(&["configure", "bootstrap", "autogen.sh"]) {
        Some("configure") => plan,
        Some(script) => plan.step("prepare", format!("NOCONFIGURE=1 ./{script}")),
        None => plan.step("prepare", "autoreconf --install"),
    };
    // A configure written by hand may know no `check`.
    let plan = plan.step("configure", "./configure").step("build", "make");
    Some(if source.is_some() { plan.step("test", "make check") } else { plan })
}

fn cargo(root: &Root<'_>) -> Option<Planned> {
    root.first(&["Cargo.toml"])?;
    let whole = if root.text("Cargo.toml").is_some_and(|t| t.contains("[workspace")) { " --workspace" } else { "" };
    let locked = if root.has("Cargo.lock") { " --locked" } else { "" };
    Some(Planned::new("Cargo.toml").step("test", format!("cargo test{whole}{locked}")))
}

fn node(root: &Root<'_>) -> Option<Planned> {
    let package: serde_json::Value = serde_json::from_str(&root.text("package.json")?).ok()?;
    let script = package.get("scripts")?.get("test")?.as_str()?;
    // What `npm init` writes is no test.
    if script.trim().is_empty() || script.contains("no test specified") {
        return None;
    }
    let plan = Planned::new("package.json with the script `test`");
    let (install, test) =
        match root.first(&["pnpm-lock.yaml", "yarn.lock", "bun.lock", "package-lock.json", "npm-shrinkwrap.json"]) {
            Some("pnpm-lock.yaml") => ("pnpm install --frozen-lockfile", "pnpm test"),
            Some("yarn.lock") => ("yarn install --frozen-lockfile", "yarn test"),
            Some("bun.lock") => ("bun install --frozen-lockfile", "bun run test"),
            Some(_) => ("npm ci", "npm test"),
            None => ("npm install", "npm test"),
        };
    Some(plan.step("install", install).step("test", test))
}

fn deno(root: &Root<'_>) -> Option<Planned> {
    let file = root.first(&["deno.json", "deno.jsonc"])?;
    Some(Planned::new(file).step("test", "deno test"))
}

fn python(root: &Root<'_>) -> Option<Planned> {
    let file = root.first(&["pyproject.toml", "setup.py", "setup.cfg"])?;
    let (why, run) = match root.first(&["tox.ini", "noxfile.py", "uv.lock", "poetry.lock"]) {
        Some("tox.ini") => (format!("{file} and tox.ini"), "tox".to_owned()),
        Some("noxfile.py") => (format!("{file} and noxfile.py"), "nox".to_owned()),
        Some("uv.lock") => (format!("{file} and uv.lock"), "uv run pytest".to_owned()),
        Some(_) => {
            let plan = Planned::new(format!("{file} and poetry.lock")).step("install", "poetry install");
            return Some(plan.step("test", "poetry run pytest"));
        }
        None => (file.to_owned(), "python3 -m pytest".to_owned()),
    };
    Some(Planned::new(why).step("test", run))
}

fn meson(root: &Root<'_>) -> Option<Planned> {
    root.first(&["meson.build"])?;
    let plan =
        Planned::new("meson.build").step("configure", "meson setup build").step("build", "meson compile -C build");
    Some(plan.step("test", "meson test -C build"))
}

fn cmake(root: &Root<'_>) -> Option<Planned> {
    root.first(&["CMakeLists.txt"])?;
    let text = root.text("CMakeLists.txt").unwrap_or_default().to_lowercase();
    let tests = text.contains("enable_testing") || text.contains("include(ctest)");
    let why = if tests { "CMakeLists.txt" } else { "CMakeLists.txt, which enables no tests" };
    let plan = Planned::new(why).step("configure", "cmake -S . -B build").step("build", "cmake --build build");
    if !tests {
        return Some(plan);
    }
    let run = "ctest --test-dir build --output-on-failure --no-tests=error";
    Some(plan.step("test", run))
}

fn go(root: &Root<'_>) -> Option<Planned> {
    root.first(&["go.mod"])?;
    Some(Planned::new("go.mod").step("test", "go test ./..."))
}

fn gradle(root: &Root<'_>) -> Option<Planned> {
    let file = root.first(&["build.gradle", "build.gradle.kts"])?;
    let tool = if root.has("gradlew") { "./gradlew" } else { "gradle" };
    Some(Planned::new(file).step("test", format!("{tool} --no-daemon check")))
}

fn maven(root: &Root<'_>) -> Option<Planned> {
    root.first(&["pom.xml"])?;
    let tool = if root.has("mvnw") { "./mvnw" } else { "mvn" };
    Some(Planned::new("pom.xml").step("test", format!("{tool} --batch-mode verify")))
}

fn dune(root: &Root<'_>) -> Option<Planned> {
    root.first(&["dune-project"])?;
    Some(Planned::new("dune-project").step("build", "dune build").step("test", "dune runtest"))
}

fn mix(root: &Root<'_>) -> Option<Planned> {
    root.first(&["mix.exs"])?;
    Some(Planned::new("mix.exs").step("install", "mix deps.get").step("test", "mix test"))
}

fn rebar(root: &Root<'_>) -> Option<Planned> {
    root.first(&["rebar.config"])?;
    Some(Planned::new("rebar.config").step("test", "rebar3 eunit"))
}

fn stack(root: &Root<'_>) -> Option<Planned> {
    root.first(&["stack.yaml"])?;
    Some(Planned::new("stack.yaml").step("test", "stack test"))
}

fn cabal(root: &Root<'_>) -> Option<Planned> {
    let file = root.first(&["cabal.project"]).or_else(|| root.has_suffix(".cabal"))?;
    Some(Planned::new(file).step("test", "cabal test all"))
}

fn ruby(root: &Root<'_>) -> Option<Planned> {
    let file = root.first(&["Rakefile", ".rspec"])?;
    let task = if file == "Rakefile" { "rake" } else { "rspec" };
    if root.has("Gemfile") {
        let plan = Planned::new(format!("{file} and Gemfile")).step("install", "bundle install");
        return Some(plan.step("test", format!("bundle exec {task}")));
    }
    Some(Planned::new(file).step("test", task))
}

fn composer(root: &Root<'_>) -> Option<Planned> {
    root.first(&["composer.json"])?;
    let file = root.first(&["phpunit.xml.dist", "phpunit.xml", "phpunit.dist.xml"])?;
    let plan = Planned::new(format!("composer.json and {file}")).step("install", "composer install --no-interaction");
    Some(plan.step("test", "vendor/bin/phpunit"))
}

fn dotnet(root: &Root<'_>) -> Option<Planned> {
    let file = [".sln", ".slnx", ".csproj", ".fsproj"].into_iter().find_map(|suffix| root.has_suffix(suffix))?;
    Some(Planned::new(file).step("test", "dotnet test"))
}

fn swift(root: &Root<'_>) -> Option<Planned> {
    root.first(&["Package.swift"])?;
    Some(Planned::new("Package.swift").step("test", "swift test"))
}

fn zig(root: &Root<'_>) -> Option<Planned> {
    root.first(&["build.zig"])?;
    Some(Planned::new("build.zig").step("test", "zig build test"))
}

fn perl(root: &Root<'_>) -> Option<Planned> {
    Some(match root.first(&["Makefile.PL", "Build.PL"])? {
        "Makefile.PL" => {
            Planned::new("Makefile.PL").step("build", "perl Makefile.PL && make").step("test", "make test")
        }
        _ => Planned::new("Build.PL").step("build", "perl Build.PL && ./Build").step("test", "./Build test"),
    })
}
